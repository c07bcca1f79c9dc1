"""The rounds as Markdown: medians, spread, and ratios taken within each round."""

import shlex
import statistics


def markdown(results, versions, arguments):
    """The whole page."""
    names = list(dict.fromkeys(result.name for result in results))
    tagalong = f" --tagalong {shlex.quote(arguments.tagalong)}" if arguments.tagalong else ""
    sizes = " ".join(map(str, arguments.sizes))
    lines = [
        "# A hit, server CPU beside peers",
        "",
        f"Server CPU per request (user + system), one URL, {arguments.connections} keep-alive connections, server on one core, wrk on the",
        f"other, {arguments.rounds} alternating rounds of {arguments.seconds} s. Medians (least–most); ratios are taken within each round. The app was not asked.",
        "",
        f"    benches/peers/run.py{tagalong} --rounds {arguments.rounds} --seconds {arguments.seconds} --sizes {sizes}",
        "",
        *(f"- {line}" for line in versions),
        "",
    ]
    references = names[:2]
    lines += row("body", "server", "CPU µs per request", *(f"ratio to {name}" for name in references), "requests per second")
    lines += row(*["---"] * (4 + len(references)))
    for kib in arguments.sizes:
        rounds = {name: [result for result in results if (result.name, result.kib) == (name, kib)] for name in names}
        for name in names:
            micros = [result.micros for result in rounds[name]]
            ratios = [ratio(rounds[name], rounds[reference]) for reference in references]
            rate = statistics.median(result.rate for result in rounds[name])
            lines += row(f"{kib} KiB", name, spread(micros, 1), *(spread(each, 2) for each in ratios), f"{rate:,.0f}")
    lines += ["", "## Every round", ""]
    lines += row("body", "round", "server", "CPU µs per request", "core used", "load average before")
    lines += row(*["---"] * 6)
    for one in results:
        lines += row(f"{one.kib} KiB", one.number, one.name, f"{one.micros:.2f}", f"{one.busy:.0%}", f"{one.load:.2f}")
    return "\n".join(lines) + "\n"


def ratio(mine, theirs):
    """My figure over theirs, round by round."""
    return [one.micros / other.micros for one, other in zip(mine, theirs)]


def spread(figures, digits):
    """Median (least–most)."""
    middle, least, most = statistics.median(figures), min(figures), max(figures)
    if least == most:
        return f"{middle:.{digits}f}"
    return f"{middle:.{digits}f} ({least:.{digits}f}–{most:.{digits}f})"


def row(*cells):
    """A row of a Markdown table."""
    return ["| " + " | ".join(map(str, cells)) + " |"]
