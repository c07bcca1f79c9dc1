"""The pages for Django do what they say: every example under "Now" is run, or checked by the
sidecar.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.migrating.pages import FOLDER, blocks_of, shown, write_project
from tests.sidecar.alone import NEEDS_A_SIDECAR, Alone

#: Each page with the app that it shows parts of.
APPS = {
    "django": "shop",
    "migrating/README": "shop",
    "migrating/fragmented-keys-django": "myapp",
    "migrating/django-cache": "my_application",
    "migrating/relaycache": "shop",
    "migrating/django-cacheme": "api",
}
PACKAGE = Path(__file__).parents[1]

#: What a page takes for granted: models that its readers have.
GIVEN = {
    "django": {
        "shop/models.py": """
from django.db import models

class Book(models.Model):
    title = models.CharField(max_length=255)
    shelf = models.CharField(max_length=40)
""",
        "project_urls.py": """
from django.urls import path
from shop.views import BookView

urlpatterns = [path("books/<int:pk>", BookView.as_view())]
""",
    },
    "migrating/README": {
        "shop/models.py": """
from django.db import models

class Book(models.Model):
    title = models.CharField(max_length=255)
"""
    },
    "migrating/relaycache": {
        "shop/models.py": """
from django.db import models

class Book(models.Model):
    title = models.CharField(max_length=255)
    author = models.CharField(max_length=255)
    publication_date = models.DateField(null=True)
    is_featured = models.BooleanField(default=False)

class Genre(models.Model):
    name = models.CharField(max_length=100)
    slug = models.SlugField(unique=True)

class BookGenre(models.Model):
    book = models.ForeignKey(Book, on_delete=models.CASCADE, related_name="genres")
    genre = models.ForeignKey(Genre, on_delete=models.CASCADE)
"""
    },
}


def run(page: str, folder: Path, tagalong: dict[str, object]) -> None:
    """Runs a page, and what is to be looked at afterwards."""
    write_project(page, APPS[page], folder)
    for name, text in {"project_urls.py": "urlpatterns = []\n", **GIVEN.get(page, {})}.items():
        (folder / name).write_text(text)
    environment = {
        **{name: it for name, it in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"},
        "MIGRATING_TAGALONG": json.dumps(tagalong),
        "PYTHONPATH": f"{PACKAGE / 'src'}:{PACKAGE}",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.migrating.run", page],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_there_is_a_page_for_each_and_a_test_for_each_page() -> None:
    assert {f"migrating/{it.stem}" for it in (FOLDER / "migrating").glob("*.md")} == set(APPS) - {"django"}


@pytest.mark.parametrize("page", APPS)
def test_every_page_shows_something_of_each_kind(page: str) -> None:
    blocks = blocks_of((FOLDER / f"{page}.md").read_text())
    assert {it.language for it in blocks} <= {"python", "yaml", "sh"}, "nothing that no test looks at"
    assert len(shown(page, "python")) >= 3
    assert shown(page, "yaml") or page in ("django", "migrating/fragmented-keys-django")
    assert any(it.is_before for it in blocks) or page in ("django", "migrating/README")


@pytest.mark.parametrize("page", APPS)
def test_every_python_example_does_what_the_page_says(page: str, tmp_path: Path) -> None:
    if not os.environ.get("TAGALONG_BINARY"):
        run(page, tmp_path, {"ADMIN_URLS": []})  # everything is computed, and nothing breaks
        return
    sidecar = Alone(tmp_path / "sidecar")
    try:
        (tmp_path / "project").mkdir()
        run(page, tmp_path / "project", sidecar.setting)
    finally:
        sidecar.stop()


@pytest.mark.sidecar
@pytest.mark.parametrize("page", [pytest.param(page, marks=NEEDS_A_SIDECAR) for page in APPS])
def test_every_yaml_example_is_right(page: str, tmp_path: Path) -> None:
    for block in shown(page, "yaml"):
        folder = tmp_path / str(block.line)
        (folder / "rules").mkdir(parents=True)
        is_rules = block.text.partition("\n")[2].startswith("rules:\n")
        (folder / ("rules/shown.yaml" if is_rules else "tagalong.yaml")).write_text(block.text)
        asked = (
            ["--rules", str(folder / "rules")] if is_rules else ["--config", str(folder / "tagalong.yaml")]
        )
        checked = subprocess.run(
            [os.environ["TAGALONG_BINARY"], "check", "--strict", *asked],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert checked.returncode == 0, f"{page}.md:{block.line}\n{checked.stderr}"


def test_a_page_is_read_as_it_is_written() -> None:
    before = "**Before**\n\n```python\nold\n```\n\n"
    now = "**Now** it is\n\n```python\n# a/b.py\nnew\n```\n\n"
    text = f"# A\n\n{before}{now}## B\n\n```sh\nx\n```\n"
    found = [(it.line, it.language, it.text, it.is_before, it.file) for it in blocks_of(text)]
    assert found == [
        (6, "python", "old\n", True, None),
        (12, "python", "# a/b.py\nnew\n", False, "a/b.py"),
        (19, "sh", "x\n", False, None),
    ]
    with pytest.raises(ValueError, match="line 1 does not end"):
        blocks_of("```python\nx\n")
