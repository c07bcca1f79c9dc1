"""The pages for users of Django, as a project: what they show under "Now" is written to files and run.

A block of Python whose first line is a comment with a path (`# shop/views.py`) is that file, or a part of it;
any other is run once the project is set up, in the order of the page. What stands under "Before" is another
package's, and is left out.
"""

import re
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[4] / "docs"

_FENCE = re.compile(r"```(\w*)$")
_MARK = re.compile(r"\*\*(Before|Now)\*\*")
_FILE = re.compile(r"# ([\w/]+\.(?:py|yaml))$")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    line: int
    """Where its text begins."""
    language: str
    text: str
    is_before: bool

    @property
    def file(self) -> str | None:
        """The file that its first line names."""
        named = _FILE.match(self.text.partition("\n")[0])
        return named[1] if named else None


def blocks_of(text: str) -> list[Block]:
    """All blocks of a page. Raises `ValueError` for one that does not end."""
    found, mark = list[Block](), "Now"
    lines = enumerate(text.splitlines(), 1)
    for number, line in lines:
        if line.startswith("#"):
            mark = "Now"
        for said in _MARK.findall(line):
            mark = said
        fence = _FENCE.match(line)
        if fence:
            inside = list[str]()
            for _, inner in lines:
                if inner == "```":
                    break
                inside.append(inner + "\n")
            else:
                raise ValueError(f"the block in line {number} does not end")
            found.append(Block(number + 1, fence[1], "".join(inside), mark == "Before"))
    return found


def shown(page: str, language: str) -> list[Block]:
    """What a page shows under "Now" in a language."""
    blocks = blocks_of((FOLDER / f"{page}.md").read_text())
    return [it for it in blocks if it.language == language and not it.is_before]


def write_project(page: str, app: str, folder: Path) -> None:
    """Writes the files of a page, and the settings that put them together, into an empty folder."""
    (folder / app).mkdir()
    (folder / app / "__init__.py").touch()
    files: dict[str, list[Block]] = {}
    for block in shown(page, "python"):
        if block.file is not None:
            files.setdefault(block.file, []).append(block)
    of_page = files.pop("settings.py", [])
    for name, blocks in files.items():
        # The lines are those of the page, so that a traceback names them.
        (folder / name).write_text("".join(_at_its_lines(blocks)))
    own = "".join(it.text for it in of_page)
    (folder / "project_settings.py").write_text(_SETTINGS.format(page=own, app=app))


def _at_its_lines(blocks: list[Block]) -> list[str]:
    text, line = list[str](), 1
    for block in blocks:
        text.append("\n" * (block.line - line) + block.text)
        line = block.line + block.text.count("\n")
    return text


_SETTINGS = """\
import json
import os

SECRET_KEY = "only for tests"
TEMPLATES = [{{"BACKEND": "django.template.backends.django.DjangoTemplates"}}]
USE_TZ = True
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "project_urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes"]
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]
DATABASES = {{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}}}

{page}

INSTALLED_APPS += ["{app}"]
TAGALONG = {{**TAGALONG, **json.loads(os.environ["MIGRATING_TAGALONG"])}}
"""
