#!/usr/bin/env python3
"""Makes a site of the pages: gathers what docs/SUMMARY.md names in target/site/pages, each page where it is in the repository, so that
links among them work as they stand; then mdBook (book.toml) makes target/site/html of them, and every link there is followed.
mdBook is built into target/tools, unless it is there.
"""

import html
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "docs"))

import pages  # noqa: E402  (what a page is, and where its links are, is known there)

MDBOOK = "0.5.4"
SITE = ROOT / "target" / "site"
TOOLS = ROOT / "target" / "tools"


def gather(source: Path) -> None:
    """Copies chapters, and the files that they link to. A link to what has no page there, a folder or the contents, is left as its text."""
    shutil.rmtree(source, ignore_errors=True)
    chapters = set(pages.chapters())
    for chapter in chapters:
        page = ROOT / chapter
        text = page.read_text()
        for target in {target for _, target in pages.links(page)}:
            path = unquote(target.partition("#")[0])
            if not path or "://" in target or target.startswith("mailto:"):
                continue
            to = (page.parent / path).resolve()
            if to.is_dir() or to == pages.SUMMARY:
                text = re.sub(rf"(?<!!)\[((?:[^\[\]]|\[[^\]]*\])*)\]\({re.escape(target)}\)", r"\1", text)
            elif to.suffix != ".md":
                copy(to, source / to.relative_to(ROOT))
            elif to.name == "README.md":
                text = text.replace(f"]({target})", f"]({indexed(target)})")
        write(source / indexed(chapter), text)
    # Its links are seen from the root there.
    summary = re.sub(r"\]\(([^)]+)\)", lambda link: f"]({indexed(os.path.normpath('docs/' + link[1]))})", pages.SUMMARY.read_text())
    write(source / "SUMMARY.md", summary)


def indexed(path: str) -> str:
    """A README is the index of its folder; mdBook makes it so, and leaves links to it as they were."""
    return path.replace("README.md", "index.md")


def copy(file: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(file, to)


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def mdbook() -> Path:
    """The program, of the version above."""
    program = TOOLS / "bin" / "mdbook"
    known = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout if program.exists() else ""
    if known.split()[-1:] != [f"v{MDBOOK}"]:
        subprocess.run(["cargo", "install", "--locked", "--quiet", "--root", TOOLS, "--version", MDBOOK, "mdbook"], check=True)
    return program


def broken() -> list[str]:
    """Links of the site that lead nowhere."""
    built = SITE / "html"
    made = [(built / indexed(chapter)).with_suffix(".html") for chapter in pages.chapters()]
    texts = {page: page.read_text() for page in made}
    ids = {page: set(re.findall(r'\bid="([^"]*)"', text)) for page, text in texts.items()}
    wrong = []
    for page, text in texts.items():
        for target in set(re.findall(r'\b(?:href|src)="([^"]*)"', text)):
            parts = urlsplit(html.unescape(target))
            if parts.scheme or parts.netloc:
                continue
            to = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            to = to / "index.html" if to.is_dir() else to
            anchor = html.unescape(unquote(parts.fragment))
            if not to.exists():
                wrong.append(f"{page.relative_to(built)}: {target}")
            elif anchor and to in ids and anchor not in {html.unescape(one) for one in ids[to]}:
                wrong.append(f"{page.relative_to(built)}: {target}: no such heading")
    return wrong


def main() -> int:
    gather(SITE / "pages")
    subprocess.run([mdbook(), "build", ROOT], check=True)
    wrong = broken()
    print("\n".join(wrong), file=sys.stderr, end="\n" if wrong else "")
    print(f"tagalong: the site is in {SITE / 'html'}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
