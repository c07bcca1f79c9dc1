"""The shop as visitors have it, behind two sidecars: what is stored, and for whom."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from loading.floors import kind_of, shown
from loading.http import Answer
from loading.mix import Edit
from loading.servers import SHOP, Stack, copy_database, make_database

SIDECAR = os.environ.get("TAGALONG_BINARY")
pytestmark = pytest.mark.skipif(not SIDECAR, reason="TAGALONG_BINARY names no sidecar")

FORM = "application/x-www-form-urlencoded"
ORDER = '{"products": {"1": 1}}'


class Page:
    """What a visitor has got."""

    def __init__(self, response: Any) -> None:
        self.status = response.status
        self.text = response.read().decode()
        self.fields = {name.lower(): it for name, it in response.getheaders()}

    @property
    def counts(self) -> dict[str, int]:
        return shown(Answer(self.status, self.fields, self.text.encode()))

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def is_hit(self) -> bool:
        return self.fields["cache-status"].startswith("tagalong; hit")

    @property
    def cookie(self) -> str:
        return self.fields["set-cookie"].partition(";")[0]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder: Path = tmp_path_factory.mktemp("stack")
    make_database(folder / "seeded", 20)
    stack = Stack(folder / "shop", str(SIDECAR), "strict")
    copy_database(folder / "seeded", stack.folder)
    with stack:
        yield stack


Ask = Callable[..., Page]


@pytest.fixture
def ask(stack: Stack) -> Ask:
    """`ask("/cart", sidecar=1, Cookie="…")`; with `body` a POST, unless it says something else."""

    def ask(
        path: str,
        body: str | None = None,
        sidecar: int = 0,
        kind: str = FORM,
        method: str = "",
        **fields: str,
    ) -> Page:
        connection = HTTPConnection("127.0.0.1", stack.ports[sidecar], timeout=30)
        try:
            if body is not None:
                fields["Content-Type"] = kind
            sent = {name.replace("_", "-"): it for name, it in fields.items()}
            connection.request(method or ("GET" if body is None else "POST"), path, body, sent)
            return Page(connection.getresponse())
        finally:
            connection.close()

    return ask


def order(ask: Ask, **fields: str) -> Page:
    return ask("/api/orders", ORDER, kind="application/json", **fields)


@pytest.fixture
def edit(ask: Ask, stack: Stack) -> Callable[..., Page]:
    """An edit of staff, by the API of the first sidecar: `edit("save", product=1, price="9.90")`."""

    def edit(name: str, /, **of: Any) -> Page:
        method, path, body = Edit(name, of).call
        token = {"Authorization": f"Bearer {stack.staff}"}
        page = ask(path, json.dumps(body), kind="application/json", method=method, **token)
        assert page.status == 200, page.text
        return page

    return edit


def test_a_page_for_everyone_is_stored_once_whatever_cookies_a_visitor_has(ask: Ask) -> None:
    first = ask("/products/2?utm_source=letter", Cookie="sessionid=somebody; csrftoken=x")
    assert first.fields["cache-status"].endswith("stored")
    for fields in ({}, {"Cookie": "sessionid=another"}):
        again = ask("/products/2", **fields)
        assert (again.is_hit, again.text) == (True, first.text)
    assert "cache-tag" not in first.fields


def test_what_one_sidecar_is_told_the_other_knows(ask: Ask) -> None:
    for sidecar in (0, 1):
        ask("/products/1", sidecar=sidecar)
        assert ask("/products/1", sidecar=sidecar).is_hit
    before = ask("/products/1", sidecar=1).text
    assert order(ask).status == 201
    assert ask("/products/1", sidecar=1).text != before


# An edit of each kind, and what it is seen by on `PAGES`.
PAGES = ["/", "/products/1", "/api/products/2", "/categories/teapots", "/collections/gifts"]
EDITS = [
    ("save", {"product": 1, "price": "9.90"}, {"product"}),
    ("restock", {"products": [1, 2], "add": 1}, {"product"}),
    ("reprice", {"category": 1, "percent": 10}, {"category"}),
    ("shelve_product", {"product": 2, "how": "set", "collections": [1, 2]}, {"shelvings", "collection"}),
    ("shelve_collection", {"collection": 3, "how": "clear"}, {"shelvings", "collection"}),
]


def outside(stack: Stack, name: str, /, **of: Any) -> dict[str, int]:
    """The same edit without a request."""
    line = json.dumps({"edit": name, **of}) + "\n"
    command = [sys.executable, "manage.py", "edits"]
    done = subprocess.run(
        command, cwd=SHOP, env=stack.environment, input=line, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return dict(json.loads(done.stdout)["versions"])


@pytest.mark.parametrize("where", ["in a request", "outside"])
@pytest.mark.parametrize(("name", "of", "kinds"), EDITS)
def test_whatever_way_staff_edits_both_sidecars_show_it_with_the_next_request(
    ask: Ask, edit: Ask, stack: Stack, where: str, name: str, of: dict[str, Any], kinds: set[str]
) -> None:
    edit("shelve_product", product=2, how="set", collections=[3])  # where the others find something to change
    for sidecar in (0, 1):
        for path in PAGES:
            ask(path, sidecar=sidecar)
            assert ask(path, sidecar=sidecar).is_hit
    counts = outside(stack, name, **of) if where == "outside" else edit(name, **of).json["versions"]
    for sidecar in (1, 0):
        seen: set[str] = set()
        for path in PAGES:
            here = ask(path, sidecar=sidecar).counts
            grown = here.keys() & counts.keys()
            assert {it: here[it] for it in grown} == {it: counts[it] for it in grown}
            seen |= {kind_of(it) for it in grown}
        assert seen >= kinds


def test_a_search_finds_what_was_renamed_with_the_next_request(ask: Ask, edit: Ask) -> None:
    for name, found in (("A zebra", "1 found"), ("A horse", "0 found")):
        ask("/search?q=zebra", sidecar=1)
        assert ask("/search?q=zebra", sidecar=1).is_hit
        edit("save", product=5, name=name)
        assert found in ask("/search?q=zebra", sidecar=1).text


def test_of_several_who_want_the_last_piece_one_gets_it(ask: Ask, edit: Ask) -> None:
    edit("save", product=6, stock=1)
    with ThreadPoolExecutor(8) as visitors:
        wanted = '{"products": {"6": 1}}'
        said = visitors.map(lambda it: ask("/api/orders", wanted, it % 2, "application/json"), range(8))
        answers = sorted(it.status for it in said)
    assert answers == [201] + [409] * 7
    assert "sold out" in ask("/products/6").text


def test_static_files_are_stored_for_everyone_without_a_rule(ask: Ask) -> None:
    for cookie in ("sessionid=a", "sessionid=b"):
        page = ask("/static/style.css", Cookie=cookie)
    assert page.is_hit


def test_l12_orders_are_kept_for_each_session_and_forgotten_with_the_next_one(ask: Ask) -> None:
    mine, other = order(ask).cookie, order(ask).cookie
    first = ask("/orders", Cookie=mine)
    again = ask("/orders", Cookie=mine)
    assert (again.is_hit, again.text) == (True, first.text)
    for fields in (
        {"Cookie": other},
        {},
        {"Cookie": "sessionid="},
        {"Cookie": f"not{mine}"},
        {"Cookie": "theme=x"},
    ):
        assert ask("/orders", **fields).text != first.text
    assert ask("/orders", Cookie=other).text.count("being packed") == 1
    url = order(ask, Cookie=mine).json["url"]
    ask(url, Cookie=mine)
    assert ask(url, Cookie=mine).is_hit
    for fields in ({"Cookie": other}, {}):
        assert ask(url, **fields).status == 404
    for sidecar in (0, 1):
        assert ask("/orders", sidecar=sidecar, Cookie=mine).text.count("being packed") == 2


def test_a_visitor_without_orders_sees_the_first_one_at_once(ask: Ask) -> None:
    cookie = ask("/cart/add", "product=3").cookie
    assert "None yet" in ask("/orders", Cookie=cookie).text
    order(ask, Cookie=cookie)
    assert "being packed" in ask("/orders", Cookie=cookie).text


def test_a_cart_and_the_pages_of_staff_are_never_stored(ask: Ask) -> None:
    for path in ("/cart", "/admin/login/"):
        for _ in range(2):
            assert ask(path).fields["cache-status"] == "tagalong; fwd=bypass; detail=rule"


def test_a_form_of_a_stored_page_works_and_one_of_another_site_does_not(ask: Ask, stack: Stack) -> None:
    own = f"http://127.0.0.1:{stack.ports[0]}"
    assert ask("/cart/add", "product=1", Origin=own).status == 302
    assert ask("/cart/add", "product=1", Origin="http://evil.example").status == 403


def test_parameters_in_another_spelling_make_no_second_copy(ask: Ask) -> None:
    ask("/categories/cups?page=1")
    assert ask("/categories/cups").is_hit
    ask("/search?q=cup&page=1")
    assert ask("/search?page=1&q=cup&utm_campaign=x").is_hit
    assert not ask("/search?q=mug").is_hit
