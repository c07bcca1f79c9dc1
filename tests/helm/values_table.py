"""The table of values in helm/README.md, made of the comments that stand above the fields of helm/values.yaml."""

import json
import re
from typing import NamedTuple

import yaml

BEGIN, END = "<!-- values: made by tests/helm/values_table.py -->", "<!-- end of values -->"


class Row(NamedTuple):
    part: str
    path: tuple[str, ...]
    says: str


def rows(text: str) -> list[Row]:
    """A row per field with a comment above it; `## …` begins a part."""
    found: list[Row] = []
    part, comment, path = "", "", []
    for line in text.splitlines():
        if heading := re.fullmatch(r"## (.*)", line):
            part, comment = heading[1], ""
        elif said := re.fullmatch(r" *# (.*)", line):
            comment = f"{comment} {said[1]}".strip()
        elif field := re.match(r"( *)([\w.]+):", line):
            path = [*path[: len(field[1]) // 2], field[2]]
            if comment:
                found.append(Row(part, tuple(path), comment))
            comment = ""
        else:
            comment = ""
    return [row for row in found if row.part]


def paths(values: object, above: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Of all fields that hold no map, or an empty one."""
    if not isinstance(values, dict) or not values:
        return [above]
    return [path for key, value in values.items() for path in paths(value, (*above, key))]


def default(values: object, path: tuple[str, ...]) -> str:
    for key in path:
        values = values[key]
    shown = values if isinstance(values, str) and values else json.dumps(values)
    return f"`{shown}`"


def table(text: str) -> str:
    values, written, part = yaml.safe_load(text), [BEGIN], ""
    for row in rows(text):
        if row.part != part:
            part = row.part
            written += ["", f"### {part}", "", "| value | default | says |", "|---|---|---|"]
        says = row.says.replace("|", "\\|")
        written.append(f"| `{'.'.join(row.path)}` | {default(values, row.path)} | {says} |")
    return "\n".join([*written, "", END])


def current(readme: str, text: str) -> str:
    """The page as it should be."""
    before, _, rest = readme.partition(BEGIN)
    return before + table(text) + rest.partition(END)[2]
