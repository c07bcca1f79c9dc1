"""The pages of the repository and what stands on them: blocks, links, headings. It reads text, and knows no command."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
SUMMARY = DOCS / "SUMMARY.md"
# What is made, fetched, or read by programs alone.
SKIPPED = {"target", "node_modules", "corpus", "artifacts", "golden", "venv"}
FENCE = re.compile(r"( *)(```+|~~~+) *([\w-]*)")
ITEM = re.compile(r" {0,3}([-*+]|\d+[.)]) ")


@dataclass(frozen=True)
class Block:
    """Lines of code: their page, the number of the first one, and what the fence calls them (nothing, if they are only indented)."""

    page: str
    line: int
    language: str
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        return "".join(f"{line}\n" for line in self.lines)

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[Path]:
    """All Markdown that people read."""
    found = []
    for folder, below, files in os.walk(ROOT):
        below[:] = sorted(name for name in below if name not in SKIPPED and (not name.startswith(".") or name == ".github"))
        found += [Path(folder) / name for name in sorted(files) if name.endswith(".md")]
    return found


def name(page: Path, root: Path = ROOT) -> str:
    """A page as it is called from the root."""
    return page.relative_to(root).as_posix()


def blocks(page: Path, root: Path = ROOT) -> list[Block]:
    """What is fenced, or indented by four after an empty line and is no item of a list."""
    found: list[Block] = []
    lines = page.read_text().splitlines()
    number, in_list = 0, False
    while number < len(lines):
        line = lines[number]
        if fence := FENCE.match(line):
            end = next((n for n in range(number + 1, len(lines)) if lines[n].strip() == fence[2]), None)
            assert end is not None, f"{name(page, root)}:{number + 1}: a block without an end"
            inside = tuple(line.removeprefix(fence[1]) for line in lines[number + 1 : end])
            found.append(Block(name(page, root), number + 2, fence[3], inside))
            number = end + 1
            continue
        if ITEM.match(line):
            in_list = True
        elif line.strip() and not line.startswith(" "):
            in_list = False
        if line.startswith("    ") and not in_list and (number == 0 or not lines[number - 1].strip()):
            end = number
            while end < len(lines) and (lines[end].startswith("    ") or not lines[end].strip()):
                end += 1
            inside = [line[4:] for line in lines[number:end]]
            while not inside[-1].strip():
                inside.pop()
            found.append(Block(name(page, root), number + 1, "", tuple(inside)))
            number = end
            continue
        number += 1
    return found


def prose(page: Path, root: Path = ROOT) -> str:
    """The text of a page with its code blanked, every line where it was. Not what stands in brackets: a link's text may be code."""
    lines = page.read_text().splitlines()
    for block in blocks(page, root):
        for number in range(block.line - 1, block.line - 1 + len(block.lines)):
            lines[number] = ""
    text = "\n".join(lines)
    return re.sub(r"(`+)(.+?)\1", lambda code: re.sub(r"[^\n]", "x", code[0]), text, flags=re.S)


def links(page: Path, root: Path = ROOT) -> list[tuple[int, str]]:
    """Where each link goes, with the line it stands on."""
    text = prose(page, root)
    found = [*re.finditer(r"\]\(<?([^()\s>]+)>?(?:\s+\"[^\"]*\")?\)", text)]
    found += re.finditer(r"^\[[^\]]+\]: *(\S+)", text, re.M)
    found += re.finditer(r"<(?:img|a|source)\b[^>]*?(?:src|href)=\"([^\"]+)\"", text)
    return [(text.count("\n", 0, link.start()) + 1, link[1]) for link in found]


def anchors(page: Path) -> set[str]:
    """The headings as forges name them in links: lower case, blanks as hyphens, no other marks but `_`."""
    lines = page.read_text().splitlines()
    for block in blocks(page):
        for number in range(block.line - 1, block.line - 1 + len(block.lines)):
            lines[number] = ""
    found: set[str] = set()
    for line in lines:
        if heading := re.match(r" {0,3}#{1,6} +(.+?) *#*$", line):
            text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading[1]).lower()
            slug = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
            again = 0
            while (f"{slug}-{again}" if again else slug) in found:
                again += 1
            found.add(f"{slug}-{again}" if again else slug)
        found.update(re.findall(r"<a (?:id|name)=\"([^\"]+)\"", line))
    return found


def chapters() -> list[str]:
    """The pages that SUMMARY.md names, as they are called from the root, in its order."""
    return [os.path.normpath(f"docs/{target}") for _, target in links(SUMMARY)]
