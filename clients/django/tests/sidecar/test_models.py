"""Registered models behind the real sidecar: which pages a write of a row forgets, and which it leaves."""

from itertools import count

import pytest
from pytest_django import Settings

from django_tagalong import invalidate_bulk, invalidate_model_tag, invalidate_scope
from tests.app.library import Volume

from .conftest import Stack
from .served import ask

BASES = count(1_000_000, 1_000_000)

VOLUME, OTHER_VOLUME = "/shop/Volume/{1}", "/shop/Volume/{2}"
HERE, THERE = "/shop/Shelf/{1}", "/shop/Shelf/{2}"
ON_HERE, ON_THERE, ELSEWHERE = "/shelves?shelf={1}", "/shelves?shelf={2}", "/shelves?shelf={1}0"
READERS, BOOKS, OTHER_BOOKS = "/shop/Book/{1}/readers", "/shop/User/{1}/books", "/shop/User/{2}/books"
ALL = [VOLUME, OTHER_VOLUME, HERE, THERE, ON_HERE, ON_THERE, ELSEWHERE, READERS, BOOKS, OTHER_BOOKS]
MOVED = {VOLUME, HERE, THERE, ON_HERE, ON_THERE}


@pytest.mark.parametrize(
    ("how", "forgotten"),
    [
        pytest.param("save", {VOLUME, HERE}, id="saves_of_other_fields"),
        pytest.param("move", MOVED, id="save_of_another_shelf"),
        pytest.param("update", MOVED, id="update"),
        pytest.param("bulk_update", MOVED, id="bulk_update"),
        pytest.param("bulk_create", {THERE, ON_THERE}, id="bulk_create"),
        pytest.param("many", {THERE, ON_THERE}, id="bulk_create_of_5000"),
        pytest.param("delete", {VOLUME, HERE, ON_HERE}, id="delete"),
        pytest.param("delete_shelf", {VOLUME, OTHER_VOLUME, HERE, ON_HERE}, id="delete_of_what_it_refers_to"),
        pytest.param("roll_back", set(), id="rolled_back"),
        pytest.param("add", {READERS, OTHER_BOOKS}, id="m2m_add"),
        pytest.param("remove", {READERS, BOOKS}, id="m2m_remove"),
        pytest.param("clear", {READERS, BOOKS}, id="m2m_clear"),
        pytest.param("delete_user", {READERS, BOOKS}, id="m2m_delete_of_an_end"),
    ],
)
def test_a_write_forgets_the_pages_that_show_it_and_no_others(
    stack: Stack, how: str, forgotten: set[str]
) -> None:
    base = next(BASES)
    pages = {page: page.format(None, base + 1, base + 2) for page in ALL}
    assert stack.post(f"/shop/write/make/{base}").status == 200
    for url in pages.values():
        stack.keep(url)
    assert stack.post(f"/shop/{stack.prefix}write/{how}/{base}").status == 200
    outcomes = {page: stack.get(url).outcome for page, url in pages.items()}
    assert outcomes == {
        page: "fwd=stale; stored; detail=invalidated" if page in forgotten else "hit" for page in ALL
    }


def test_three_saves_in_one_view_are_one_increment_of_each_tag(stack: Stack) -> None:
    base = next(BASES)
    ask(f"{stack.app.url}/shop/write/make/{base}", "POST")
    response = ask(f"{stack.app.url}/shop/write/save/{base}", "POST")
    assert response.lines("Cache-Tag-Increment") == [f"Volume:{base + 1}, Shelf:{base + 1}"]


def test_what_was_rolled_back_is_on_no_response(stack: Stack) -> None:
    base = next(BASES)
    ask(f"{stack.app.url}/shop/write/make/{base}", "POST")
    response = ask(f"{stack.app.url}/shop/write/roll_back/{base}", "POST")
    assert (response.status, response.text) == (200, "written")
    assert response.lines("Cache-Tag-Increment") == response.lines("Cache-Tag-Change") == []


@pytest.mark.django_db(transaction=True)
def test_calls_by_hand_answer_true_once_the_sidecar_has_done_it(
    gunicorn: Stack, settings: Settings, nobody: str
) -> None:
    base = next(BASES)
    settings.TAGALONG = gunicorn.sidecar.setting
    page, shelf = f"/shop/Volume/{base}", f"/shop/Shelf/{base}"
    for call, url in (
        (lambda: invalidate_model_tag(Volume, base), page),
        (lambda: invalidate_model_tag("app.Volume", base), page),
        (lambda: invalidate_bulk(Volume, range(base, base + 300)), page),
        (lambda: invalidate_scope("Shelf", base), shelf),
    ):
        assert (gunicorn.get(url).status, gunicorn.get(url).outcome) == (200, "hit")
        assert call() is True
        assert gunicorn.get(url).outcome == "fwd=stale; stored; detail=invalidated"
    settings.TAGALONG = {**gunicorn.sidecar.setting, "TOKEN": "wrong"}
    assert invalidate_model_tag(Volume, base) is False
    both = [gunicorn.sidecar.admin, nobody]
    settings.TAGALONG = {**gunicorn.sidecar.setting, "ADMIN_URLS": both, "RETRIES": 0}
    assert invalidate_model_tag(Volume, base) is False
