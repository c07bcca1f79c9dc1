"""The README's example of models is run as it stands there, and does what the text beneath says."""

import re
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).parents[2]

PROGRAM = """
import django
from django.conf import settings

settings.configure(
    INSTALLED_APPS=["shop.apps.ShopConfig", "django_tagalong"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
)
django.setup()
from django.core.management import call_command
from django.db import transaction
from django_tagalong.test import recording
from shop.models import Book, Reader

call_command("migrate", run_syncdb=True, verbosity=0)
Reader.objects.create(pk=3)
book = Book.objects.create(pk=7, shelf="history")


def told(write):
    with recording() as said:
        write()
    return sorted(said.increments), [(it.rule, it.old, it.new) for it in said.changes]


def move():
    book.shelf = "travel"
    book.save()


def roll_back():
    with transaction.atomic():
        book.delete()
        transaction.set_rollback(True)


moved = [("books", (("shelf", "history"),), (("shelf", "travel"),))]
assert told(move) == (["Book:7", "Books", "Shelf:history", "Shelf:travel"], moved)
assert told(lambda: book.readers.add(3)) == (["Book:7:readers", "Reader:3:books"], [])
assert told(lambda: Book.objects.update(title="x")) == (["Book:7", "Books", "Shelf:travel"], [])
assert told(roll_back) == ([], [])
"""


def test_the_example_of_the_readme_does_what_it_says(tmp_path: Path) -> None:
    section = (PACKAGE / "README.md").read_text().partition("\n## Models\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"```python\n# (shop/\w+\.py)\n(.*?)```", section, re.DOTALL)
    assert [name for name, _ in blocks] == ["shop/models.py", "shop/apps.py"]
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").touch()
    for name, text in blocks:
        (tmp_path / name).write_text(text)
    (tmp_path / "program.py").write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, "program.py"],
        cwd=tmp_path,
        env={"PYTHONPATH": f"{PACKAGE / 'src'}:{tmp_path}", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
