"""The figures as Markdown, and the goals a line each."""

import dataclasses

from report import row


@dataclasses.dataclass
class Goal:
    """Something to hold, and what was measured. Where it could not be, `met` is `None`."""

    text: str
    figure: str
    met: bool

    def verdict(self):
        return {True: "met", False: "NOT met", None: "–"}[self.met]


@dataclasses.dataclass
class Section:
    """A table with how it was measured."""

    title: str
    how: str
    lines: list
    goals: list


def markdown(sections, versions, state, loads):
    """The whole page."""
    lines = [
        "# Fills under stress",
        "",
        "What happens to the app and to clients when many ask for what is not stored. The sidecar is on one core, app and clients (Python) on",
        "the other. Medians (least–most) of the rounds; a goal is met if every round met it. Absolute times are those of a shared machine.",
        "",
        "    make bench-fills",
        "",
        f"- Tagalong {state}",
        *(f"- {line}" for line in versions),
        f"- load average before and after: {loads[0]:.2f}, {loads[1]:.2f}",
        "",
        *row("goal", "measured", ""),
        *row("---", "---", "---"),
    ]
    for goal in (goal for section in sections for goal in section.goals):
        lines += row(goal.text, goal.figure, goal.verdict())
    for section in sections:
        lines += ["", f"## {section.title}", "", section.how, *([""] if section.lines else []), *section.lines]
    return "\n".join(lines) + "\n"


def verdicts(sections):
    """A line per goal."""
    goals = [goal for section in sections for goal in section.goals]
    return "\n".join(f"{goal.verdict():8} {goal.text}: {goal.figure}" for goal in goals)
