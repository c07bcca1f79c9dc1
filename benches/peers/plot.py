"""Plots as SVG: lines over two logarithmic axes, for light and dark pages."""

import dataclasses
import html
import math
import statistics

WIDTH, HEIGHT = 640, 320
LEFT, RIGHT, TOP, BOTTOM = 64, 150, 34, 46
STYLE = """text{font:12px system-ui,sans-serif;fill:#333}.title{font-weight:bold}.grid{stroke:#8884;stroke-width:1}
path{fill:none;stroke-width:2}.s0{stroke:#0a7d55;fill:#0a7d55}.s1{stroke:#b4540a;fill:#b4540a}.s2{stroke:#3b5bdb;fill:#3b5bdb}
.s3{stroke:#777;fill:#777}path.s0,path.s1,path.s2,path.s3{fill:none}
@media(prefers-color-scheme:dark){text{fill:#ddd}.s0{stroke:#4cd6a0;fill:#4cd6a0}.s1{stroke:#f5a25d;fill:#f5a25d}
.s2{stroke:#91a7ff;fill:#91a7ff}.s3{stroke:#aaa;fill:#aaa}}"""


@dataclasses.dataclass
class Plot:
    """`lines`: points of each by name; its value is the median."""

    file: str
    title: str
    x: str
    y: str
    lines: dict


def of(file, title, x, y, figures, rows):
    """`rows`: the x of each row that is plotted. Tagalong comes first."""
    lines = {}
    for name in sorted(dict.fromkeys(figure.server for figure in figures if figure.row in rows), key=lambda name: name != "Tagalong"):
        points = {}
        for figure in figures:
            if figure.server == name and figure.row in rows:
                points.setdefault(rows[figure.row], []).append(figure.value)
        lines[name] = [(at, statistics.median(values)) for at, values in sorted(points.items())]
    return Plot(file, title, x, y, lines)


def svg(plot):
    """The file."""
    points = [point for line in plot.lines.values() for point in line]
    across = Axis([x for x, _ in points], LEFT, WIDTH - RIGHT)
    up = Axis([y for _, y in points], HEIGHT - BOTTOM, TOP, whole=True)
    told = "; ".join(f"{name}: " + ", ".join(f"{y:.3g} at {x:,}" for x, y in line) for name, line in plot.lines.items())
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="t d">',
        f'<title id="t">{html.escape(plot.title)}</title>',
        f'<desc id="d">{html.escape(f"{plot.y} by {plot.x}. {told}.")}</desc>',
        f"<style>{STYLE}</style>",
        text(LEFT, 18, plot.title, "start", "title"),
        text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, plot.x),
        f'<g transform="rotate(-90)">{text(-(TOP + HEIGHT - BOTTOM) / 2, 14, plot.y)}</g>',
    ]
    for tick in up.ticks():
        y = up.at(tick)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(text(LEFT - 6, y + 4, f"{tick:,g}", "end"))
    for x in sorted({x for x, _ in points}):
        parts.append(text(across.at(x), HEIGHT - BOTTOM + 18, f"{x:,}"))
    labels = apart({name: up.at(line[-1][1]) for name, line in plot.lines.items()})
    for number, (name, line) in enumerate(plot.lines.items()):
        drawn = [(across.at(x), up.at(y)) for x, y in line]
        parts.append(f'<path class="s{number}" d="M' + "L".join(f"{x:.1f} {y:.1f}" for x, y in drawn) + '"/>')
        parts += [f'<circle class="s{number}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in drawn]
        parts.append(text(drawn[-1][0] + 8, labels[name] + 4, name, "start"))
    return "\n".join([*parts, "</svg>"]) + "\n"


class Axis:
    """A logarithmic scale; `whole`: from a power of ten to another."""

    def __init__(self, values, start, end, whole=False):
        self.low, self.high = math.log10(min(values)), math.log10(max(values))
        if whole:
            self.low, self.high = math.floor(self.low), math.ceil(self.high)
        self.start, self.end = start, end

    def at(self, value):
        share = (math.log10(value) - self.low) / ((self.high - self.low) or 1)
        return self.start + share * (self.end - self.start)

    def ticks(self):
        return [10.0**power for power in range(round(self.low), round(self.high) + 1)]


def apart(places):
    """Labels that would cover each other move down."""
    moved, last = {}, -math.inf
    for name, y in sorted(places.items(), key=lambda item: item[1]):
        moved[name] = last = max(y, last + 14)
    return moved


def text(x, y, content, anchor="middle", kind=""):
    named = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{named}>{html.escape(content)}</text>'
