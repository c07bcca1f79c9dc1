#!/usr/bin/env python3
"""Counts the instructions of the steps of a hit with callgrind, and compares them with those that are written down.

    scripts/instructions.py debug      as `cargo test` builds it
    scripts/instructions.py release    as it is handed out

Fails where a step on the path of a hit takes over 5 % more than `benches/results/instructions.md` says. With BLESS=1 in the
environment it writes there what it has counted. Times wander with the machine; these figures hardly do (that page says how much).
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "benches/results/instructions.md"
COUNTED = ROOT / "target/instructions"
BUILDS = {
    "debug": ["cargo", "test", "--locked", "--no-run", "--bench", "instructions"],
    "release": ["cargo", "bench", "--locked", "--no-run", "--bench", "instructions"],
}
# The first step does nothing: what it costs to be measured.
NOTHING = "nothing"
ON_THE_PATH = {"plan", "key", "lookup", "hit", "304"}
ALLOWED = 0.05
FUNCTION = "instructions::counted_by_callgrind"


def built(build: str) -> str:
    """Builds the program, and says where it is."""
    command = [*BUILDS[build], "--message-format", "json-render-diagnostics"]
    lines = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    artifacts = (json.loads(line) for line in lines)
    return next(
        it["executable"]
        for it in artifacts
        if it["reason"] == "compiler-artifact" and it["target"]["name"] == "instructions" and it["executable"]
    )


def counted(program: str) -> dict[str, float]:
    """The instructions that one of each step takes."""
    shutil.rmtree(COUNTED, ignore_errors=True)
    COUNTED.mkdir(parents=True)
    out = COUNTED / "out"
    callgrind = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}"]
    # The name as a whole: with a pattern callgrind collects, and writes nothing down.
    command = [*callgrind, f"--toggle-collect={FUNCTION}", f"--dump-after={FUNCTION}", program]
    ran = subprocess.run(command, check=False, capture_output=True, text=True)
    if ran.returncode:
        sys.exit(f"{ran.stdout}{ran.stderr}\ncallgrind ended with {ran.returncode}")
    steps = [line.split() for line in ran.stdout.splitlines()]
    dumps = [COUNTED / f"out.{n}" for n in range(1, len(steps) + 1)]
    all_steps = {
        step: int(re.search(r"^totals: (\d+)$", dump.read_text(), re.MULTILINE)[1]) / int(times)
        for (step, times), dump in zip(steps, dumps, strict=True)
    }
    nothing = all_steps.pop(NOTHING)
    return {step: count - nothing for step, count in all_steps.items()}


def table_of(text: str) -> str:
    """The first table of the page, as it stands."""
    return re.search(r"(^\|.*\n)+", text, re.MULTILINE)[0]


def rows(text: str) -> dict[str, dict[str, str]]:
    """The same, read: for each step its figure in each build."""
    head, _, *body = [[cell.strip() for cell in line.strip("|").split("|")] for line in table_of(text).splitlines()]
    return {step: dict(zip(head[1:], figures, strict=True)) for step, *figures in body}


def written(text: str, build: str, counts: dict[str, float]) -> str:
    """The page with other figures for this build."""
    before = rows(text)
    table = [f"| | {' | '.join(BUILDS)} |", f"|---|{'---|' * len(BUILDS)}"]
    for step, count in counts.items():
        figures = {**before.get(step, {}), build: f"{count:,.0f}"}
        table.append(f"| {step} | {' | '.join(figures.get(name, '') for name in BUILDS)} |")
    return text.replace(table_of(text), "\n".join(table) + "\n")


def compared(build: str, counts: dict[str, float], figures: dict[str, dict[str, str]]) -> bool:
    """Prints what has become more or less; whether it may be so."""
    is_fine = True
    for step, count in counts.items():
        figure = figures.get(step, {}).get(build, "").replace(",", "")
        if not figure:
            print(f"{step:8} {count:10,.0f}  nothing is written down for it: BLESS=1 make instructions")
            is_fine = False
            continue
        change = count / int(figure) - 1
        said = ""
        if change > ALLOWED and step in ON_THE_PATH:
            said, is_fine = f"  more than {ALLOWED:.0%} above: a hit has become slower", False
        elif abs(change) > ALLOWED:
            said = f"  renew the figure: BLESS=1 scripts/instructions.py {build}"
        print(f"{step:8} {count:10,.0f}  {change:+7.2%}{said}")
    return is_fine


def main() -> int:
    build = sys.argv[1] if len(sys.argv) == 2 else ""
    if build not in BUILDS:
        print(__doc__, file=sys.stderr)
        return 2
    counts = counted(built(build))
    text = PAGE.read_text()
    if os.environ.get("BLESS"):
        PAGE.write_text(written(text, build, counts))
        return 0
    print(f"instructions of one of each step, {build} build, and the change since they were written down:", flush=True)
    return 0 if compared(build, counts, rows(text)) else 1


if __name__ == "__main__":
    sys.exit(main())
