#!/usr/bin/env python3
"""Writes docs/reference: every field of rule files and of the configuration, made of `tagalong schema`, and every option of the
command line, made of its help. What stands there is said once, beside the types in src/.

    scripts/reference.py BINARY          writes the pages
    scripts/reference.py BINARY --check  ends with 1 if a page is not what it would write
"""

import json
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "reference"
MADE = "<!-- Made by scripts/reference.py (`make reference`) of what the binary says: change it in src/. -->\n"
# Types that are written in one word, and where the page says how.
UNITS = {"Duration": "duration", "Size": "size", "Share": "share"}

RULES = """# Rule files: every field

Each field, with what it takes and what holds where it is left out. What the fields mean together, with examples:
[Rules and configuration](../rules.md#a-rule-file). For your editor the same is there as JSON Schema: `tagalong schema rules`.

Where the column *takes* says *fields* they stand in a table of their own. `text or number` is read as text. What is not *required* may be left out; a dash means
that there is no default: nothing is done, or asked for.
"""

CONFIGURATION = """# The configuration: every field

Each field of `tagalong.yaml`, with what it takes and what holds where it is left out. The whole file with its defaults, and what the fields mean
together: [Rules and configuration](../rules.md#the-configuration). For your editor the same is there as JSON Schema: `tagalong schema config`.

Where the column *takes* says *fields* they stand in a table of their own. `text or number` is read as text. What is not *required* may be left out; a dash means
that there is no default: nothing is done, or asked for. Fields below `defaults` are those of [rules](rules.md), for rules that do not say them.
"""

COMMAND_LINE = """# The command line: every option

What `--help` says, command by command. When to use which: [The command line](../command-line.md).
"""


@dataclass
class Group:
    """Fields that stand together: an object of the schema."""

    name: str
    schema: dict
    places: list[str] = field(default_factory=list)  # dotted paths, `[]` for each item of a list, `.NAME` for any name

    @property
    def title(self) -> str:
        """Its place, if that is the only one."""
        return f"`{self.places[0]}`" if len(self.places) == 1 else f"`{self.name}`"

    @property
    def anchor(self) -> str:
        return re.sub(r"[^\w-]", "", self.title.lower())


class Page:
    """The groups of a schema, in the order in which a reader meets them."""

    def __init__(self, schema: dict, rules: "Page | None" = None):
        self.definitions = schema.get("$defs", {})
        self.rules = rules  # the page where groups of rules stand, if that is another one
        self.groups: dict[str, Group] = {}
        self.visit("", schema, "")

    def visit(self, name: str, schema: dict, place: str) -> None:
        """Notes this group, then those below it, but for what stands on the page of rules."""
        if self.rules and name in self.rules.groups and name:
            return
        if name in self.groups:
            self.groups[name].places.append(place)
            return
        self.groups[name] = Group(name, schema, [place])
        for of, inner in sorted(schema["properties"].items()):
            self.look(inner, f"{place}.{of}" if place else of)

    def look(self, node: dict, place: str) -> None:
        """Follows a node to the groups that it refers to."""
        if name := reference(node):
            target = self.definitions[name]
            if "properties" in target:
                self.visit(name, target, place)
            elif name not in UNITS:
                self.look(target, place)
        for alternative in alternatives(node):
            self.look(alternative, place)
        if isinstance(node.get("items"), dict):
            self.look(node["items"], f"{place}[]")
        if isinstance(node.get("additionalProperties"), dict):
            self.look(node["additionalProperties"], f"{place}.NAME")

    def takes(self, node: dict) -> str:
        """What a field may be, in a few words."""
        return " or ".join(dict.fromkeys(self.kinds(node)))

    def kinds(self, node: dict):
        if name := reference(node):
            target = self.definitions[name]
            if name in UNITS:
                yield f"[{UNITS[name]}](#durations-sizes-shares)"
            elif "properties" in target:
                page, group = ("", self.groups[name]) if name in self.groups else ("rules.md", self.rules.groups[name])
                yield f"[fields]({page}#{group.anchor})"
            else:
                yield from self.kinds(target)
            return
        if inner := alternatives(node):
            if is_scalar(inner):
                yield "text or number"
            else:
                for alternative in inner:
                    yield from self.kinds(alternative)
            return
        if "const" in node:
            yield f"`{node['const']}`"
            return
        if "enum" in node:
            yield from (f"`{value}`" for value in dict.fromkeys(map(str, node["enum"])))
            return
        if "items" in node:
            yield f"list of {self.takes(node['items'])}"
            return
        if isinstance(node.get("additionalProperties"), dict):
            yield f"names, each with {self.takes(node['additionalProperties'])}"
            return
        types = node["type"] if isinstance(node["type"], list) else [node["type"]]
        words = {"string": "text", "integer": "whole number", "number": "number", "boolean": "`true` or `false`"}
        yield from (words[kind] for kind in types if kind != "null")

    def values(self, node: dict):
        """The words that a field may be, each with what it means."""
        if (name := reference(node)) and "properties" not in self.definitions[name]:
            yield from self.values(self.definitions[name])
        for alternative in alternatives(node):
            if "const" in alternative and "description" in alternative:
                yield f"`{alternative['const']}`: {prose(alternative['description'])}"
            else:
                yield from self.values(alternative)
        for inner in (node.get("items"), node.get("additionalProperties")):
            if isinstance(inner, dict):
                yield from self.values(inner)

    def row(self, name: str, node: dict, required: bool) -> str:
        says, default = apart(prose(node.get("description", "")))
        if not says and (of := reference(node) or next(filter(None, map(reference, alternatives(node))), None)):
            says = prose(self.definitions[of].get("description", ""))
        cell = "<br>".join(filter(None, [says, *self.values(node)]))
        cells = [f"`{name}`", self.takes(node), "*required*" if required else default or "–", cell]
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    def table(self, group: Group) -> str:
        required = group.schema.get("required", [])
        rows = [self.row(name, node, name in required) for name, node in sorted(group.schema["properties"].items())]
        return "\n".join(["| field | takes | default | says |", "|---|---|---|---|", *rows]) + "\n"

    def text(self, introduction: str) -> str:
        parts = [MADE, introduction]
        for group in self.groups.values():
            if group.name:
                parts.append(f"## {group.title}\n")
                said = prose(group.schema.get("description", ""))
                if len(group.places) > 1:
                    said += f" Stands at {', '.join(f'`{place}`' for place in group.places)}."
                parts.append(said.strip() + "\n")
            parts.append(self.table(group))
        parts.append("## Durations, sizes, shares\n")
        parts.append("\n".join(f"- {prose(self.definitions[name]['description'])}" for name in UNITS if name in self.definitions) + "\n")
        return "\n".join(parts)


def reference(node: dict) -> str | None:
    """The name of the definition that a node is."""
    return node["$ref"].removeprefix("#/$defs/") if "$ref" in node else None


def alternatives(node: dict) -> list[dict]:
    """What a node may be, without null, which says no more than leaving it out."""
    return [one for key in ("anyOf", "oneOf") for one in node.get(key, []) if one.get("type") != "null"]


def is_scalar(nodes: list[dict]) -> bool:
    """What is taken as text, whatever it looks like to YAML."""
    return {node.get("type") for node in nodes} == {"number", "boolean", "string"}


def prose(text: str) -> str:
    """A docstring as one line; what is only for those who read the sources left out."""
    return re.sub(r" \(rules\.md §\d+\)", "", " ".join(text.split()))


def apart(text: str) -> tuple[str, str]:
    """What a sentence says, and the default that it ends with."""
    found = re.search(r"(?:^| )Default: (.+?)\.$", text)
    return (text[: found.start()].strip(), found[1]) if found else (text, "")


def help_of(binary: str, words: list[str]) -> str:
    """What `--help` says of a command, whatever the environment."""
    done = subprocess.run([binary, *words, "--help"], env={}, capture_output=True, text=True, check=True, timeout=30)
    return done.stdout


def commands(binary: str, words: list[str]):
    """Each command, with its help: the whole, then what is below it."""
    said = help_of(binary, words)
    yield words, said
    listed = re.search(r"^Commands:\n((?:  .*\n)+)", said, re.M)
    for name in re.findall(r"^  ([a-z]+)", listed[1], re.M) if listed else []:
        if name != "help":
            yield from commands(binary, [*words, name])


def command_line(binary: str) -> str:
    parts = [MADE, COMMAND_LINE]
    for words, said in commands(binary, []):
        lines = "\n".join(line.rstrip() for line in said.strip().splitlines())
        parts.append(f"## `{' '.join(['tagalong', *words])}`\n\n```text\n{lines}\n```\n")
    return "\n".join(parts)


def pages(binary: str) -> dict[str, str]:
    """The name of each page, and its text."""

    def schema(kind: str) -> dict:
        done = subprocess.run([binary, "schema", kind], capture_output=True, check=True, timeout=30)
        return json.loads(done.stdout)

    rules = Page(schema("rules"))
    return {
        "rules.md": rules.text(RULES),
        "configuration.md": Page(schema("config"), rules).text(CONFIGURATION),
        "command-line.md": command_line(binary),
    }


def main() -> int:
    binary, *rest = sys.argv[1:]
    FOLDER.mkdir(exist_ok=True)
    old = []
    for name, text in pages(str(Path(binary).resolve())).items():
        file = FOLDER / name
        if "--check" not in rest:
            file.write_text(text)
        elif not file.exists() or file.read_text() != text:
            old.append(f"docs/reference/{name}")
    if old:
        print(f"{', '.join(old)}: not what the binary says; `make reference` writes it anew", file=sys.stderr)
    return 1 if old else 0


if __name__ == "__main__":
    sys.exit(main())
