"""For an app's own tests: what its responses depend on, and what its writes report, without a sidecar.

    class BookTests(TagalongAssertions, TestCase):
        def test_a_page_has_its_tag_and_a_save_increments_it(self):
            self.assertTags(self.client.get("/books/7"), "Book:7", "Books")
            with self.assertIncrements("Book:7", "Books"):
                self.client.post("/books/7", {"title": "Another"})

What a `TestCase` would roll back counts as committed when the block ends; what was rolled back inside the
block does not. Nobody is called meanwhile. Decides nothing of what is told.
"""

# ruff: noqa: PT009 - these are assertions of unittest

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import TestCase, mock

from django.conf import settings
from django.db import connections
from django.http.response import HttpResponseBase
from django.test import override_settings

from . import clients, collector, headers
from .client import Incremented
from .collector import Change, Collected
from .increments import AfterCommit

__all__ = ["Recording", "TagalongAssertions", "changes_of", "increments_of", "recording", "tags_of"]


class Recording:
    """What was said within `recording()`, each thing once, in the order it was said first."""

    def __init__(self) -> None:
        self._said = Collected()

    @property
    def tags(self) -> list[str]:
        """Tags of responses."""
        return list(self._said.tags)

    @property
    def increments(self) -> list[str]:
        """Tags that were incremented, on a response or without one."""
        return list(self._said.increments)

    @property
    def changes(self) -> list[Change]:
        """Changes of attributes that rules are filtered by."""
        return list(self._said.changes)

    def _on_response(self, collected: Collected) -> None:
        self._said.tags.update(collected.tags)
        self._said.increments.update(collected.increments)
        self._said.changes.update(collected.changes)


class _Listener:
    """What is asked in place of sidecars. It takes everything, and has nothing."""

    url = "recording"
    is_away = False

    def __init__(self, recording: Recording) -> None:
        self._said = recording._said

    def increment(self, tags: Any, soft: bool = False, again: int | None = None) -> Incremented:
        said = {tag: collector.Increment(tag, soft, again) for tag in tags}
        self._said.increments.update(said)
        return Incremented(len(said), dict.fromkeys(said, 1), ())

    def change(self, rule: str, old: Mapping[str, str], new: Mapping[str, str]) -> int:
        self._said.changes.add(Change(rule, tuple(sorted(old.items())), tuple(sorted(new.items()))))
        return 1

    def purge(self, **named: Any) -> None:
        return None

    def delete_object(self, key: str) -> int:
        return 0


@contextmanager
def recording() -> Iterator[Recording]:
    """Records what is said inside, in requests and outside of them, by all threads."""
    recording = Recording()

    class Recorded(collector.Collector):
        __slots__ = ()

        def close(self) -> Collected:
            collected = super().close()
            recording._on_response(collected)
            return collected

    enabled = {**getattr(settings, "TAGALONG", {}), "ENABLED": True, "ADMIN_URLS": []}
    with ExitStack() as stack:
        stack.enter_context(override_settings(TAGALONG=enabled))
        stack.enter_context(mock.patch.object(collector, "Collector", Recorded))
        stack.enter_context(mock.patch.object(clients, "each", return_value=[_Listener(recording)]))
        pending = [it for one in connections.all(initialized_only=True) for it in one.run_on_commit]
        yield recording
        _commit(pending)


def _commit(pending: Iterable[Any]) -> None:
    """What waits for a commit, but for what did before: within a `TestCase` that never comes."""
    known = set(map(id, pending))
    for connection in connections.all(initialized_only=True):
        hooks = [it[1] for it in connection.run_on_commit if id(it) not in known]
        ours = [it for it in hooks if isinstance(it, AfterCommit)]
        for hook in sorted(ours, key=lambda it: it.index):
            hook.tell()


def tags_of(response: HttpResponseBase) -> list[str]:
    """The tags of a response, in their order, with versions of their own (`api;v=2`)."""
    return _members(response, headers.TAGS)


def increments_of(response: HttpResponseBase) -> list[str]:
    """The increments that a response carries, as they are spelled (`User:42`, `User:42;soft`)."""
    return _members(response, headers.INCREMENTS)


def changes_of(response: HttpResponseBase) -> list[str]:
    """The lines with the changes that a response carries."""
    return _lines(response, headers.CHANGES)


def _members(response: HttpResponseBase, name: str) -> list[str]:
    return [member.strip() for line in _lines(response, name) for member in line.split(",")]


def _lines(response: HttpResponseBase, name: str) -> list[str]:
    fields = response.headers.items()
    return [value.encode("latin-1").decode() for field, value in fields if field.lower() == name.lower()]


class TagalongAssertions(TestCase):
    """To be named before `django.test.TestCase` among the bases of a class of tests."""

    def assertTags(self, response: HttpResponseBase, *tags: str) -> None:  # noqa: N802 - as unittest spells it
        """The response has these tags and no others, in any order."""
        self.assertCountEqual(tags_of(response), tags)

    @contextmanager
    def assertIncrements(self, *tags: str) -> Iterator[Recording]:  # noqa: N802 - as unittest spells it
        """What happens inside increments these tags and no others, in any order."""
        with recording() as said:
            yield said
        self.assertCountEqual(said.increments, tags)

    @contextmanager
    def assertNoIncrements(self) -> Iterator[Recording]:  # noqa: N802 - as unittest spells it
        """What happens inside increments nothing, and changes no attribute."""
        with recording() as said:
            yield said
        self.assertEqual((said.increments, said.changes), ([], []))
