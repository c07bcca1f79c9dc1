"""What all tests have: nothing of one is left for the next."""

from collections.abc import Iterator

import pytest

from django_tagalong import conf, tell


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The setting is read anew, no connection is kept, and what is said once may be said again."""
    monkeypatch.setattr(conf, "_current", None)
    monkeypatch.setattr(tell, "_clients", {})
    monkeypatch.setattr(tell, "_warned", False)
    yield
    for client in tell._clients.values():
        client.close()
