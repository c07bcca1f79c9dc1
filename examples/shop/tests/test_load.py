"""load.py itself: it finds nothing wrong behind sidecars that work, and much behind some that are deaf."""

import os
import subprocess
import sys

import pytest

from loading import floors
from loading.floors import Floors, older, shown
from loading.http import Answer
from loading.servers import SHOP

SIDECAR = os.environ.get("TAGALONG_BINARY")
needs_a_sidecar = pytest.mark.skipif(not SIDECAR, reason="TAGALONG_BINARY names no sidecar")
SMALL = ["--rounds", "1", "--visitors", "6", "--products", "40"]


def load(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "load.py", "--tagalong", str(SIDECAR), *SMALL, *arguments]
    return subprocess.run(command, cwd=SHOP, capture_output=True, text=True, timeout=300, check=False)


def freshness(done: "subprocess.CompletedProcess[str]", kind: str) -> list[int]:
    """Pages, edits, too old, late, failed."""
    assert "## How new pages were" in done.stdout, done.stdout + done.stderr
    table = done.stdout.partition("## How new pages were")[2].partition("\n## ")[0].splitlines()
    [row] = [it for it in table if it.startswith(f"| {kind} |")]
    return [int(cell.replace(",", "")) for cell in row.strip("| ").split(" | ")[1:]]


@needs_a_sidecar
def test_no_page_is_older_than_an_edit_acknowledged_before_through_either_of_two_sidecars() -> None:
    done = load("--seconds", "5")
    assert done.returncode == 0, done.stdout + done.stderr  # there were hits, too
    for kind in ("without", "strict"):
        pages, edits, *wrong = freshness(done, kind)
        assert pages > edits > 0
        assert wrong == [0, 0, 0]


@needs_a_sidecar
def test_sidecars_that_hear_of_no_edit_are_found_out() -> None:
    done = load("--seconds", "3", "--deaf")
    assert done.returncode == 0, done.stdout + done.stderr
    assert freshness(done, "strict")[2] > 0


def test_a_page_must_show_what_was_acknowledged_once_it_is_promised(monkeypatch: pytest.MonkeyPatch) -> None:
    moment = 100.0
    monkeypatch.setattr(floors, "monotonic", lambda: moment)
    at_once, in_a_second = Floors(), Floors(lag=1.0)
    for each in (at_once, in_a_second):
        each.acknowledge({"product:1": 3})
        each.acknowledge({"product:1": 2})
    page = {"product:1": 2, "product:2": 1}
    assert list(older(page, at_once.now())) == ["product:1 is 2, and was 3 before this was asked for"]
    assert list(older(page, in_a_second.now())) == []
    moment = 101.0
    assert len(list(older(page, in_a_second.now()))) == 1


def test_of_what_a_page_shows_twice_the_older_one_counts() -> None:
    body = b'<p data-of="product:1" data-version="3"><p data-of="product:1" data-version="2">'
    assert shown(Answer(200, {"content-type": "text/html"}, body)) == {"product:1": 2}
