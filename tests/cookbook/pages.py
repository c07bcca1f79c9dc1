"""Recipes as the pages have them: a section, its files, what its app answers, and what one then sees.

| block | is |
|---|---|
| `yaml` that begins with `rules:` | a rule file |
| other `yaml` | a configuration |
| `http` | what the app answers, one after the other: request line, fields it must have, empty line, status line, fields, empty line, body |
| `console` | a transcript: `$ command` and what it prints; a line that begins with `# ` is a remark that makes something happen |
| `json` | what a webhook on 127.0.0.1:9998 is told, call by call |
| `python` that begins with `# name.py` | a program that the transcript starts |
| others | for readers alone |

A first line `# blue/tagalong.yaml` or `# blue/rules/shop.yaml` says that a file is for the sidecar in the folder `blue`.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
PLACE = re.compile(r"^# (?:(\w+)/)?(?:tagalong\.yaml|rules/\S+\.yaml)\b")
REQUEST = re.compile(r"^(?:GET|HEAD|POST|PUT|PATCH|DELETE) /\S*$", re.M)
STATUS = re.compile(r"HTTP/1\.1 (\d{3}) [\w ]+$")


class Unclear(Exception):
    """A page says something that nobody can run."""


@dataclass
class Answer:
    """What the app answers to requests of one line that have these fields."""

    method: str
    target: str
    wanted: dict[str, str]
    status: int
    fields: list[tuple[str, str]]
    body: str | None


@dataclass
class Step:
    """A command with the lines it must print, or a remark without."""

    text: str
    printed: list[str] = field(default_factory=list)
    is_remark: bool = False


@dataclass
class Recipe:
    page: Path
    title: str
    # By sidecar: what stands in its configuration, and its rule files.
    configurations: dict[str, str] = field(default_factory=dict)
    rules: dict[str, list[str]] = field(default_factory=dict)
    answers: list[Answer] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    programs: dict[str, str] = field(default_factory=dict)

    def sidecars(self) -> list[str]:
        return list(dict.fromkeys([*self.configurations, *self.rules])) or [""]


def fields_of(lines: list[str]) -> list[tuple[str, str]]:
    pairs = [line.partition(":") for line in lines]
    for name, colon, _ in pairs:
        if not (colon and re.fullmatch(r"[\w-]+", name)):
            raise Unclear(f"not a field: {name}")
    return [(name, value.strip()) for name, _, value in pairs]


def answers(block: str) -> list[Answer]:
    starts = [found.start() for found in REQUEST.finditer(block)]
    if not starts or block[: starts[0]].strip():
        raise Unclear(f"no request line at the beginning of: {block}")
    found = []
    for start, end in zip(starts, [*starts[1:], len(block)]):
        request, _, response = block[start:end].partition("\n\n")
        line, *wanted = request.split("\n")
        head, _, body = response.partition("\n\n")
        status, *said = head.strip().split("\n")
        matched = STATUS.match(status)
        if not matched:
            raise Unclear(f"no status line: {status}")
        method, target = line.split(" ")
        answer = Answer(method, target, dict(fields_of(wanted)), int(matched[1]), fields_of(said), body.strip() or None)
        found.append(answer)
    return found


def steps(block: str) -> list[Step]:
    found: list[Step] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            found.append(Step(line[2:]))
        elif line.startswith("# "):
            found.append(Step(line[2:], is_remark=True))
        elif line and found and not found[-1].is_remark:
            found[-1].printed.append(line)
        elif line:
            raise Unclear(f"no command prints: {line}")
    return found


def recipe(page: Path, title: str, text: str) -> Recipe:
    made = Recipe(page, title)
    for language, block in FENCE.findall(text):
        if language == "yaml":
            place = PLACE.match(block)
            sidecar = (place and place[1]) or ""
            if re.search(r"^rules:$", block, re.M):
                made.rules.setdefault(sidecar, []).append(block)
            elif made.configurations.setdefault(sidecar, block) is not block:
                raise Unclear(f"{title}: two configurations for one sidecar")
        elif language == "http":
            made.answers += answers(block)
        elif language == "console":
            made.steps += steps(block)
        elif language == "json":
            made.told += block.strip().splitlines()
        elif language == "python" and (name := re.match(r"# (\w+\.py)\b", block)):
            made.programs[name[1]] = block
    return made


def recipes(page: Path) -> list[Recipe]:
    """The sections of a page; what stands before the first is none."""
    sections = re.split(r"^## (.+)\n", page.read_text(), flags=re.M)[1:]
    return [recipe(page, title, text) for title, text in zip(sections[::2], sections[1::2])]
