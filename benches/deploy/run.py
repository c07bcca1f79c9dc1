#!/usr/bin/env python3
"""Measures what deploying costs: the files of the image and their size, memory when idle, and the time until it is ready.

    benches/deploy/run.py --tagalong target/dist/tagalong

The image's files are laid out in a folder as the Dockerfile does it. Memory is read once the sidecar is ready and has been let alone
for two seconds; ready is the first 200 of /readyz, asked every millisecond. Nothing is thrown away. Needs Python 3.9.
"""

import argparse
import contextlib
import gzip
import json
import os
import pathlib
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
PAGE = HERE.parent / "results" / "deploy.md"
sys.path.append(str(HERE.parent / "peers"))

import contestants  # noqa: E402
from report import row, spread  # noqa: E402

STARTS = 20
RULES = 500
#: What is measured twice: how many rules there are.
CASES = {"no rules": 0, f"{RULES} rules": RULES}


def main():
    arguments = parse()
    for stop in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(stop, lambda *_: sys.exit("stopped"))
    load = os.getloadavg()[0]
    program = arguments.tagalong.resolve()
    with tempfile.TemporaryDirectory(prefix="deploy-") as folder:
        files, packed = image(program, pathlib.Path(folder, "image"))
        idle = {name: memory(program, rules) for name, rules in CASES.items()}
        starts = {name: [start_time(program, rules) for _ in range(STARTS)] for name, rules in CASES.items()}
    versions = contestants.versions([], [str(program), "--version"])
    text = markdown(files, packed, idle, starts, versions, (load, os.getloadavg()[0]), linked(program), arguments)
    arguments.out.write_text(text)
    print(text)


def image(program, folder):
    """The image's files with their sizes, and the size of all of it as a layer: a tar file, compressed by gzip as registries keep it."""
    subprocess.run([REPOSITORY / "packaging/image/layout.sh", program, folder], check=True)
    files = {f"/{file.relative_to(folder)}": file.stat().st_size for file in sorted(folder.rglob("*")) if file.is_file()}
    layer = folder.with_suffix(".tar")
    with tarfile.open(layer, "w") as tar:
        tar.add(folder, arcname=".")
    return files, len(gzip.compress(layer.read_bytes(), 6))


def linked(program):
    headers = subprocess.run(["readelf", "--program-headers", program], check=True, capture_output=True, text=True).stdout
    return "with shared libraries" if "INTERP" in headers else "statically"


@contextlib.contextmanager
def running(program, rules):
    """A sidecar with its defaults and so many rules; yields its process and the port of its admin interface, at once."""
    admin = contestants.free_port()
    written = {
        "listen": [f"127.0.0.1:{contestants.free_port()}"],
        "admin": {"listen": f"127.0.0.1:{admin}"},
        "upstream": {"url": "http://127.0.0.1:9"},
    }
    with tempfile.TemporaryDirectory(prefix="deploy-tagalong-") as folder:
        config = pathlib.Path(folder, "tagalong.yaml")
        config.write_text(json.dumps(written))
        if rules:
            pathlib.Path(folder, "rules").mkdir()
            pathlib.Path(folder, "rules", "bench.yaml").write_text(json.dumps({"rules": [rule(number) for number in range(rules)]}))
        command = [program, "serve", "--config", config]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
        try:
            yield process, admin
        finally:
            process.terminate()
            if process.wait(20) != 0:
                sys.exit("it did not end as it should")


def rule(number):
    """One as apps have them: a path with a capture, the query it depends on, tags, a time to live."""
    return {
        "id": f"page-{number}",
        "match": {"path": rf"/section-{number}/(?P<id>\d+)"},
        "vary_on": {"query": {"mode": "allow", "params": [{"name": "page", "default": "1"}]}},
        "tags": [f"Section:{number}", "Item:{id}"],
        "ttl": "10m",
    }


def until_ready(process, admin):
    while process.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{admin}/readyz", timeout=5) as answer:
            if answer.status == 200:
                return
        time.sleep(0.001)
    sys.exit("it has ended before it was ready")


def start_time(program, rules):
    """Milliseconds from the start of the process until it is ready."""
    before = time.perf_counter()
    with running(program, rules) as (process, admin):
        until_ready(process, admin)
        return (time.perf_counter() - before) * 1000


def memory(program, rules):
    """MiB of the idle process: resident (RSS), its share of what it has in common with others (PSS), and what is its own alone."""
    with running(program, rules) as (process, admin):
        until_ready(process, admin)
        time.sleep(2)
        told = pathlib.Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()[1:]
        kib = {line.split(":")[0]: int(line.split()[1]) for line in told}
        return kib["Rss"] / 1024, kib["Pss"] / 1024, (kib["Private_Dirty"] + kib["Private_Clean"]) / 1024, kib["Anonymous"] / 1024


def markdown(files, packed, idle, starts, versions, loads, linked, arguments):
    lines = [
        "# What deploying costs",
        "",
        f"    benches/deploy/run.py --tagalong {arguments.tagalong}",
        "",
        f"- Tagalong {contestants.state()}",
        *(f"- {line}" for line in versions),
        f"- the program is linked {linked}",
        "- load average before and after: " + ", ".join(f"{load:.2f}" for load in loads),
        "",
        "## The image",
        "",
        "All of its files; there is one layer, and nothing else in it. Its folder `/etc/tagalong/rules` is empty.",
        "",
        *row("file", "bytes"),
        *row("---", "---:"),
        *(line for file, size in files.items() for line in row(f"`{file}`", f"{size:,}")),
        *row("**in all**", f"**{sum(files.values()):,}** ({sum(files.values()) / 2**20:.1f} MiB)"),
        *row("compressed, as it is pulled", f"**{packed:,}** ({packed / 2**20:.1f} MiB)"),
        "",
        "## Memory when idle",
        "",
        "Two seconds after it was ready; nothing stored, no client. Resident memory includes those parts of the program's file that were",
        "read so far, which the kernel takes back when it needs the room; anonymous memory is the rest. MiB.",
        "",
        *row("", "resident (RSS)", "proportional (PSS)", "its own", "anonymous"),
        *row(*["---"] * 5),
        *(line for name, figures in idle.items() for line in row(name, *(f"{figure:.1f}" for figure in figures))),
        "",
        "## Time until it is ready",
        "",
        f"From the start of the process until `/readyz` answers 200; {STARTS} starts, median (least–most), ms.",
        "",
        *row("", "ready after"),
        *row("---", "---"),
        *(line for name, figures in starts.items() for line in row(name, spread(figures, 1))),
    ]
    return "\n".join(lines) + "\n"


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tagalong", metavar="PROGRAM", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, default=PAGE)
    return parser.parse_args()


if __name__ == "__main__":
    main()
