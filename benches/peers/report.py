"""The figures as Markdown: medians, spread, ratios taken within each round, and which goals are met."""

import statistics

from bench import NGINX, REFERENCE, TAGALONG, VARNISH
from load import CONNECTIONS, STREAMS

REFERENCES = [REFERENCE, NGINX, VARNISH]
#: Digits behind the point.
DIGITS = {"µs": 1, "ms": 2, "MiB": 1, "bytes": 0, "calls": 0, "commands": 4, "reads": 3}


def markdown(figures, goals, how, state, versions, loads, bench, plots):
    """The whole page. `how`: a text for each group of workloads."""
    lines = [
        "# Beside peers",
        "",
        "Every server on one core, in turns with the others; clients and the app on the other. µs are server CPU (user + system) per request,",
        f"with {CONNECTIONS} keep-alive connections (over HTTP/2 with {STREAMS} requests at once on each). Entries have three tags. A wrong answer, or a hit for",
        f"which the app was asked, stops the run. {bench.rounds} alternating rounds of {bench.seconds} s, fewer where one takes long; at most {bench.most:,} entries.",
        "Medians (least–most); ratios are taken within each round. Times are those of a shared machine.",
        "",
        "    make bench-peers",
        "",
        f"- Tagalong {state}",
        *(f"- {line}" for line in versions),
        f"- load average before and after: {loads[0]:.2f}, {loads[1]:.2f}",
        "",
        *(f"- {' '.join(each.split())}" for each in how),
        "",
        *(f"![{plot.title}]({plot.file})" for plot in plots),
        "",
        "## Goals",
        "",
        *row("goal", "measured", ""),
        *row("---", "---", "---"),
        *(line for goal in goals for line in verdict(goal, figures)),
        "",
        "## Figures",
        "",
        *row("workload", "server", "", *(f"÷ {name}" for name in REFERENCES), "requests per second"),
        *row(*["---"] * (4 + len(REFERENCES))),
    ]
    measured = list(dict.fromkeys((figure.row, figure.server) for figure in figures))
    for name, server in in_order(measured):
        lines += server_row(name, server, figures)
    lines += ["", "## Every round", ""]
    lines += row("workload", "server", "figures", "load average")
    lines += row(*["---"] * 4)
    for name, server in in_order(measured):
        lines += rounds(name, server, figures)
    return "\n".join(lines) + "\n"


def in_order(measured):
    """Servers of a row together, rows as they first came."""
    rows = list(dict.fromkeys(name for name, _ in measured))
    return sorted(measured, key=lambda pair: rows.index(pair[0]))


def server_row(name, server, figures):
    """A line of the table."""
    mine = by_round(figures, name, server)
    unit = next(iter(mine.values())).unit
    values = [figure.value for figure in mine.values()]
    rates = [figure.rate for figure in mine.values() if figure.rate]
    compared = [ratios(mine, by_round(figures, name, reference)) for reference in REFERENCES]
    rate = f"{statistics.median(rates):,.0f}" if rates else ""
    return row(name, server, f"{spread(values, DIGITS[unit])} {unit}", *(spread(each, 2) if each else "" for each in compared), rate)


def by_round(figures, name, server):
    return {figure.number: figure for figure in figures if (figure.row, figure.server) == (name, server)}


def ratios(mine, theirs):
    """My figures over theirs, round by round; nothing where they are none."""
    both = mine.keys() & theirs.keys()
    return [mine[number].value / theirs[number].value for number in sorted(both) if theirs[number].value]


def verdict(goal, figures):
    """A line for a goal, or none where it was not measured."""
    mine = by_round(figures, goal.row, goal.server)
    if not mine:
        return []
    unit = next(iter(mine.values())).unit
    if not goal.than and not goal.base:
        values, digits, most = [figure.value for figure in mine.values()], DIGITS[unit], f"{goal.most:,g} {unit}"
    else:
        values, digits = ratios(mine, by_round(figures, goal.base or goal.row, goal.than or goal.server)), 2
        most = f"{goal.most:g} × {goal.than or goal.base}"
        unit = "×"
    if not values:
        return []
    met = "met" if statistics.median(values) <= goal.most else "**not met**"
    mode = "" if goal.server == TAGALONG else f" ({goal.server})"
    return row(f"{goal.row}{mode} ≤ {most}", f"{spread(values, digits)} {unit}", met)


def rounds(name, server, figures):
    """A line of all rounds."""
    mine = by_round(figures, name, server).values()
    values = ", ".join(f"{one.value:,.{DIGITS[one.unit] + 1}f}" for one in mine)
    return row(name, server, f"{values} {next(iter(mine)).unit}", spread([one.load for one in mine], 2))


def spread(figures, digits):
    """Median (least–most)."""
    middle, least, most = statistics.median(figures), min(figures), max(figures)
    if least == most:
        return f"{middle:,.{digits}f}"
    return f"{middle:,.{digits}f} ({least:,.{digits}f}–{most:,.{digits}f})"


def row(*cells):
    """A row of a Markdown table."""
    return ["| " + " | ".join(map(str, cells)) + " |"]
