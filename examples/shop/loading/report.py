"""What was seen, as text: a line for each round, and a page for benches/results."""

import argparse
import os
import platform
import shlex
import subprocess
import sys
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from statistics import median, quantiles

from .floors import KINDS
from .rounds import Round

PAGE = Path(__file__).resolve().parents[3] / "benches" / "results" / "shop.md"


INTRO = """\
{visitors} visitors, each with one request at a time. Some requests are edits through the ORM: `save()`,
`update()`, `bulk_update()`, relations (`add`, `remove`, `set`, `clear`) and orders; some of those are made
without a request. {products} products, of which those that are read most are edited most. Two gunicorn
workers of four threads, SQLite in WAL mode. `without`: gunicorn alone, django-tagalong off; the others: two
sidecars in front of the same, which share a Redis. {rounds} rounds of {seconds:g} s for each, by turns, after
a short one to warm up, which counts for freshness alone; medians (least–most). The load generator is on the
same machine, and takes its share of it.
"""
FRESHNESS = """\
Every page shows how often what is on it was written, and every edit answers with the counts that it made. A
page is too old if it shows less than an edit that was answered before the page was asked for, through
whichever sidecar; with `bounded`, if that was more than a second before. `late`: older than that edit, but
within the second. (Which products a search finds has no count; tests see to that.)
"""
HELD = """\
Only what comes from the store can be too old: so often pages from there showed something that had been edited
before. `shelvings` are the collections of a product, `collection` the products of one.
"""


def line(it: Round) -> str:
    """A round in short."""
    rate, edits = _reads(it) / it.seconds, _edits(it) / it.seconds
    return (
        f"{it.share:4.0%} {it.number} {it.name:8} {rate:7.0f} reads/s {edits:6.0f} edits/s"
        f"  hits {_hit_ratio(it):4.0%}  p50 {median(it.took or [0]):6.2f} ms  p99 {_p99(it):7.2f} ms"
        f"  too old {it.too_old}  late {it.late}  failed {it.failed}"
        + "".join(f"\n    {example}" for example in it.examples)
    )


def markdown(rounds: list[Round], said: argparse.Namespace, load_before: float) -> str:
    """The page."""
    load = f"load average before and after: {load_before:.2f}, {os.getloadavg()[0]:.2f}"
    lines = ["# The shop, read while it is edited", "", INTRO.format(**vars(said))]
    setting = [f"Tagalong {_state()}", *_versions(said), load]
    lines += [f"    {_command(said)}", "", *(f"- {it}" for it in setting)]
    lines += ["", "## How new pages were", "", FRESHNESS, *_freshness(_by_name(rounds))]
    lines += ["", HELD, *_held(_by_name(rounds))]
    for share in said.shares:
        of = _by_name([it for it in rounds if it.number and it.share == share])
        lines += ["", f"## With {share:.0%} of edits", "", *_rates(of), "", *_kinds(of)]
    return "\n".join(lines) + "\n"


def _state() -> str:
    """Which state of the sources was read: their commit."""
    command = ["git", "-C", str(PAGE.parent), "describe", "--always", "--dirty"]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True).stdout.strip() or "of unknown state"


def _by_name(rounds: list[Round]) -> dict[str, list[Round]]:
    names = dict.fromkeys(it.name for it in rounds)
    return {name: [it for it in rounds if it.name == name] for name in names}


def _rates(of: dict[str, list[Round]]) -> list[str]:
    first, *_ = of
    head = ["", "reads/s", f"over {first}", "edits/s", "hits, %", "p50, ms", "p99, ms"]
    lines = _head(*head, "generator, % of a core")
    bare = [_reads(it) / it.seconds for it in of[first]]
    for name, rounds in of.items():
        rates = [_reads(it) / it.seconds for it in rounds]
        cells = [
            _spread(rates, 0),
            _spread([one / other for one, other in zip(rates, bare, strict=True)], 2),
            _spread([_edits(it) / it.seconds for it in rounds], 0),
            _spread([_hit_ratio(it) * 100 for it in rounds], 0),
            _spread([median(it.took) for it in rounds], 2),
            _spread([_p99(it) for it in rounds], 1),
            _spread([it.cpu / it.seconds * 100 for it in rounds], 0),
        ]
        lines.append(_row(name, *cells))
    return lines


def _freshness(of: dict[str, list[Round]]) -> list[str]:
    lines = _head("", "pages", "from the store", "edits", "too old", "late", "failed")
    for name, rounds in of.items():
        each = ((_reads(it), it.hits.total(), _edits(it), it.too_old, it.late, it.failed) for it in rounds)
        lines.append(_row(name, *(f"{sum(it):,}" for it in zip(*each, strict=True))))
    examples = [f"- {name}: {it}" for name, rounds in of.items() for one in rounds for it in one.examples]
    return lines + (["", *examples[:10]] if examples else [])


def _held(of: dict[str, list[Round]]) -> list[str]:
    lines = _head("", *KINDS)
    for name, rounds in of.items():
        held = sum((it.held for it in rounds), Counter())
        old = sum((it.old for it in rounds), Counter())
        cells = (f"{held[it]:,}" + (f" ({old[it]:,} too old)" if old[it] else "") for it in KINDS)
        lines.append(_row(name, *cells))
    return lines


def _kinds(of: dict[str, list[Round]]) -> list[str]:
    lines = _head("page", "share of reads", *(f"hits, {name}" for name in of))
    reads = {name: sum((it.reads for it in rounds), Counter()) for name, rounds in of.items()}
    hits = {name: sum((it.hits for it in rounds), Counter()) for name, rounds in of.items()}
    everything = sum(reads.values(), Counter())
    for kind, count in everything.most_common():
        ratios = (f"{hits[name][kind] / max(reads[name][kind], 1):.0%}" for name in of)
        lines.append(_row(kind, f"{count / everything.total():.0%}", *ratios))
    every = [it for rounds in of.values() for it in rounds]
    edits = sum((it.edits for it in every), Counter())
    parts = ", ".join(f"{name} {count:,}" for name, count in edits.most_common())
    outside, idle = sum(it.outside for it in every), sum(it.idle for it in every)
    said = f"Edits: {parts}; {outside:,} of them without a request, {idle:,} had nothing to change."
    return [*lines, "", said]


def _head(*cells: str) -> list[str]:
    return [_row(*cells), _row(*["---"] * len(cells))]


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _reads(it: Round) -> int:
    return it.reads.total()


def _edits(it: Round) -> int:
    return it.edits.total()


def _hit_ratio(it: Round) -> float:
    return it.hits.total() / max(_reads(it), 1)


def _p99(it: Round) -> float:
    return quantiles(it.took, n=100)[98] if len(it.took) > 1 else 0.0


def _spread(figures: list[float], digits: int) -> str:
    return f"{median(figures):,.{digits}f} ({min(figures):,.{digits}f}–{max(figures):,.{digits}f})"


def _command(said: argparse.Namespace) -> str:
    # The path of the sidecar is that of the reader's machine.
    given = [
        f"--{name} {getattr(said, name)}"
        for name in ("seconds", "requests", "rounds", "visitors", "products", "edits", "chance")
    ]
    deaf = " --deaf" if said.deaf else ""
    kinds = f"--consistency {shlex.quote(said.consistency)}"
    return f"examples/shop/load.py --tagalong target/release/tagalong {kinds} {' '.join(given)}{deaf}"


def _versions(said: argparse.Namespace) -> list[str]:
    def says(*command: str) -> str:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    lines = Path("/proc/cpuinfo").read_text().splitlines()
    processor = next((it.partition(":")[2].strip() for it in lines if "model name" in it), "")
    redis = says("redis-server", "--version").split()[2].removeprefix("v=")
    return [
        f"{processor or platform.machine()}, {os.cpu_count()} cores, {platform.platform(terse=True)}",
        f"{says(said.tagalong, '--version')}, Redis {redis}",
        f"Python {sys.version.split()[0]}, Django {version('Django')}, gunicorn {version('gunicorn')}",
    ]
