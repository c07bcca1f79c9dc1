"""The report, as Markdown."""

import collections
import dataclasses
import pathlib
import re
import statistics
import subprocess
import sys

sys.path.append(str(pathlib.Path(__file__).resolve().parents[2] / "benches" / "peers"))

import contestants  # noqa: E402
import fleet  # noqa: E402
import needs  # noqa: E402
import tally  # noqa: E402
import watch  # noqa: E402


@dataclasses.dataclass
class Found:
    """What a soak has found; readings by sidecar."""

    tally: tally.Tally
    base: dict
    end: dict
    #: Ten lists of readings.
    tenths: dict
    #: Of memory, as a share.
    growth: float
    seconds: float
    #: Their text.
    logs: dict


def markdown(found, arguments, loads):
    """The whole page."""
    lines = [
        "# The soak",
        "",
        "Two sidecars share a Redis, in front of one app. All kinds of clients come and go, operators look and purge, rules are replaced, Redis is killed, one of",
        "the sidecars is stopped and started; each answer is checked by status, length and content, and each page against what is",
        "[promised](sharing.md#what-is-promised) of its age. Then the traffic stops, and everything has to come back to where it was.",
        "",
        "    make soak                         # an hour; SOAK_SECONDS=60 a minute",
        "",
        *length(found),
        "",
        *(f"- {line}" for line in machine(arguments)),
        f"- load average before and after: {loads[0]:.2f}, {loads[1]:.2f}",
        "",
        "## What was found",
        "",
        *verdict(found),
        "",
        "## Memory, descriptors, sockets",
        "",
        *resources(found),
        "",
        "## What was done to them",
        "",
        *row("fault", "times"),
        *row("---", "---"),
        *(line for name, count in found.tally.faults.items() for line in row(name, f"{count:,}")),
        "",
        *counted(found),
        "",
        "## Requests",
        "",
        *answers(found),
    ]
    return "\n".join(lines) + "\n"


def length(found):
    took = f"This run took {found.seconds:,.0f} s, beside a warm-up before and rests before and after."
    if found.seconds < 3_000:
        return [f"{took} **It is a short one**: it shows that everything is in it, not what an hour would."]
    return [took]


def machine(arguments):
    servers = [fleet_version(command) for command in ([arguments.tagalong, "--version"], [needs.find("redis-server"), "--version"])]
    where = pathlib.Path(__file__).resolve().parent
    command = ["git", "-C", str(where), "describe", "--always", "--dirty"]
    state = subprocess.run(command, stdout=subprocess.PIPE, text=True).stdout.strip() or "of unknown state"
    # The first line is the machine.
    return [*contestants.versions([])[:1], *servers, f"sources {state}", f"Python {sys.version.split()[0]}"]


def fleet_version(command):
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip().splitlines()[0]


def verdict(found):
    if not found.tally.wrong_count:
        return [
            f"Nothing. {found.tally.requests():,} answers: none was wrong, no request was lost, no page was older than promised, and everything came back."
            f" Memory of the sidecar that lives on: {found.growth:+.1%} from the second tenth to the last."
        ]
    told = [f"- `{wrong}`" for wrong in found.tally.wrongs]
    return [f"**{found.tally.wrong_count} times something was wrong**, of {found.tally.requests():,} answers:", "", *told]


def resources(found):
    """A row for each tenth, with the base line before and the end after."""
    yield (
        f"Means (and the most) of each tenth; `store.memory.max_bytes` is {watch.mib(fleet.MAX_BYTES)}, full from the start. Sidecar `a` lives all the time, and its memory may grow"
        " by a tenth; `b` is the one that is stopped and started. Before and after: at rest, when nothing has changed for"
        f" {watch.REST} s. Descriptors must be back at what they were before, threads too (but for {watch.SPARE_THREADS}, which look at files by turns), sockets at"
        " two that listen and three to Redis, and all of `fills_in_flight`, `upstream_exchanges`,"
        " `upstream_queue`, `event_streams` and `outbox` at 0."
    )
    yield ""
    for place, tenths in found.tenths.items():
        yield from row(f"`{place}`", "resident", "descriptors", "threads", "sockets", "fills", "exchanges")
        yield from row(*["---"] * 7)
        yield from at_rest("before", found.base[place])
        for number, readings in enumerate(tenths, 1):
            if readings:
                yield from row(f"tenth {number}", *during(readings))
        yield from at_rest("after", found.end[place])
        yield ""


def during(readings):
    yield f"{watch.mib(mean(readings, 'resident'))} ({watch.mib(max(reading.resident for reading in readings))})"
    for name in ("descriptors", "threads"):
        yield f"{mean(readings, name):.0f} ({max(getattr(reading, name) for reading in readings)})"
    for counts in (
        [sum(reading.sockets.values()) for reading in readings],
        *([reading.gauges[gauge] for reading in readings] for gauge in watch.GAUGES[:2]),
    ):
        yield f"{statistics.mean(counts):.0f} ({max(counts)})"


def at_rest(name, reading):
    sockets = ", ".join(f"{count} {name}" for name, count in sorted(reading.sockets.items()))
    return row(name, watch.mib(reading.resident), reading.descriptors, reading.threads, sockets, *(reading.gauges[gauge] for gauge in watch.GAUGES[:2]))


def mean(readings, name):
    return statistics.mean(getattr(reading, name) for reading in readings)


def counted(found):
    """What the sidecars counted, and what they said."""
    last = found.end["a"].counters
    yield f"Sidecar `a` counted {last['evictions']:,} evictions, {last['generations']:,} other stores than before and {last['deferred']:,} increments that were deferred."
    said = collections.Counter(match for text in found.logs.values() for match in re.findall(r" (WARN|ERROR) ", plain(text)))
    yield f"Both logged {said['WARN']:,} warnings and {said['ERROR']:,} errors (rules that were wrong are errors)."


def plain(text):
    """Without colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def answers(found):
    """By kind, how many were answered how."""
    yield "In the words of [`Cache-Status`](headers.md#to-the-client-age-and-cache-status). What was due while too many of its kind were under way was not begun."
    yield ""
    yield from row("kind", "answers", "how", "not begun")
    yield from row(*["---"] * 4)
    for kind, counts in sorted(found.tally.answers.items()):
        how = ", ".join(f"{answer}: {count:,}" for answer, count in counts.most_common())
        yield from row(kind, f"{sum(counts.values()):,}", how, found.tally.skipped.get(kind, 0))


def row(*cells):
    return [f"| {' | '.join(str(cell) for cell in cells)} |"]
