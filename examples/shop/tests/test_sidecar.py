"""The shop as visitors have it, behind two sidecars: what is stored, and for whom."""

import os
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from loading.servers import Stack, copy_database, make_database

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
    """`ask("/cart", sidecar=1, Cookie="…")`; with `body` a POST."""

    def ask(path: str, body: str | None = None, sidecar: int = 0, kind: str = FORM, **fields: str) -> Page:
        connection = HTTPConnection("127.0.0.1", stack.ports[sidecar], timeout=30)
        try:
            if body is not None:
                fields["Content-Type"] = kind
            sent = {name.replace("_", "-"): it for name, it in fields.items()}
            connection.request("GET" if body is None else "POST", path, body, sent)
            return Page(connection.getresponse())
        finally:
            connection.close()

    return ask


def order(ask: Ask, **fields: str) -> Page:
    return ask("/api/orders", ORDER, kind="application/json", **fields)


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
    order(ask, Cookie=mine)
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
