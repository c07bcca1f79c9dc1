"""The shell on a page, run by bash as it stands there: whoever copies a line gets what is tested.

All blocks of a page are one script, each line at its own number, so that what one block sets the next one has. The programs it finds are
those of PROGRAMS: `tagalong`, `curl` and some that only read are run; stand_ins.py takes the place of the others, and looks at how they
are called. A program that is neither is not found, which fails.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import harness
import pages
import stand_ins

LANGUAGES = {"sh", "bash", "shell"}
# What pages show that is no shell. A word that is not here is a mistake, so that no block is left out by a slip of the pen.
OTHERS = {
    "console", "yaml", "json", "python", "js", "ts", "go", "ruby", "php", "java", "csharp",
    "html", "xml", "toml", "nginx", "vcl", "promql", "http", "text", "ini", "dockerfile", "conf",
}
# How blocks without a word begin that are no shell: a header, a request, JSON, a sum, lines of Redis' files, an answer.
NO_SHELL = re.compile(r"[A-Z][\w-]*: |(GET|POST) /|[({]|(maxmemory|min-replicas-to-write|user) |answer: ")
READERS = ("awk", "bash", "cat", "cut", "dirname", "env", "grep", "head", "jq", "ls", "mkdir", "openssl", "sed", "seq", "sh", "sleep", "sort", "tail", "tr", "uniq", "wc")

BUILTINS = ("cd", "echo", "export", "for", "if", "printf", "test", "until", "while")

PROLOGUE = """\
set -o pipefail -o errtrace -o functrace
trap 'PAGE_LINE=$LINENO' DEBUG
trap 'status=$?; printf "%s:%s: %s: exit code %s\\n" "$PAGE" "$LINENO" "$BASH_COMMAND" "$status" >>"$FAILURES"' ERR
export PAGE_LINE
"""


def is_shell(block: pages.Block) -> bool:
    if block.language in LANGUAGES:
        return True
    if block.language:
        assert block.language in OTHERS, f"{block}: what is `{block.language}`? Say it in tests/docs/shell.py"
        return False
    first = next(line for line in block.lines if line.strip())
    known = first.split()[0] in programs() or re.match(r"\w+=|(examples|scripts|tests|benches)/", first) is not None
    assert known or NO_SHELL.match(first), f"{block}: is that shell? Then call it `sh`, or say in tests/docs/shell.py what `{first.split()[0]}` is"
    return known


def programs() -> set[str]:
    return {*READERS, *BUILTINS, *stand_ins.PROGRAMS}


def bin_folder(folder: Path) -> Path:
    """The only programs that a page finds."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for program in READERS:
        if found := shutil.which(program):
            (folder / program).symlink_to(found)
    for program in stand_ins.PROGRAMS:
        stand_in = folder / program
        stand_in.write_text(f"#!/bin/sh\nexec {sys.executable} -S -E {stand_ins.__file__} {program} \"$@\"\n")
        stand_in.chmod(0o755)
    return folder


def run(page: str, shown: list[pages.Block], bins: Path, folder: Path, app: str) -> list[str]:
    """What went wrong."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for what in ("benches", "clients", "docs", "examples", "helm", "packaging", "scripts", "tests", "Makefile", "Cargo.toml"):
        (folder / what).symlink_to(pages.ROOT / what)
    for home in (".config/fish/completions", ".local/share/bash-completion/completions"):
        (folder / home).mkdir(parents=True)
    (folder / "report.json").write_text("[1, 2]\n")
    lines = [""] * (max(block.line + len(block.lines) for block in shown))
    for block in shown:
        lines[block.line - 1 : block.line - 1 + len(block.lines)] = block.lines
    failures, calls = folder / ".failures", folder / ".calls"
    (folder / ".prologue").write_text(PROLOGUE)
    # Programs of this repository are called by their paths, which nothing can stand in for: the line says `script` before them.
    text = re.sub(r"(^|[;&|(] *)(?=(?:examples|scripts|tests|clients|benches)/\S)", r"\1script ", "\n".join(lines), flags=re.M)
    (folder / ".page").write_text(text + "\n")
    failures.touch()
    sidecar = harness.Sidecar(app, folder)
    try:
        environment = {
            "PATH": str(bins),
            "HOME": str(folder),
            "LC_ALL": "C.UTF-8",
            "BASH_ENV": str(folder / ".prologue"),
            "PAGE": page,
            "FAILURES": str(failures),
            "CALLS": str(calls),
            "REPOSITORY": str(pages.ROOT),
            "TAGALONG_BINARY": str(harness.BINARY),
            "TAGALONG_ADMIN_TOKEN": harness.TOKEN,
            "TAGALONG_ADMIN_URL": sidecar.admin,
            "SIDECAR_ADMIN": sidecar.admin,
            "SIDECAR_CLIENT": sidecar.client,
            "APP": app,
            "CURL": shutil.which("curl") or "curl",
        }
        done = subprocess.run(
            ["bash", "--norc", "--noprofile", folder / ".page"], cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120
        )
    finally:
        sidecar.stop()
    wrong = failures.read_text().splitlines()
    if wrong or done.returncode:
        wrong.append(f"{page} ended with {done.returncode}:\n{done.stdout[-1500:]}\n{done.stderr[-1500:]}")
    return wrong


def calls(folder: Path) -> int:
    """How many calls of programs were looked at."""
    log = folder / ".calls"
    return len(log.read_text().splitlines()) if log.exists() else 0
