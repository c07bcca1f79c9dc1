"""What all tests have: nothing of one is left for the next."""

import socket
from collections.abc import Iterator

import pytest
from pytest_django import Settings

from django_tagalong import clients, conf, tell

from .scripted import ScriptedAdmin


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The setting is read anew, no connection is kept, and what is said once may be said again."""
    monkeypatch.setattr(conf, "_current", None)
    monkeypatch.setattr(tell, "_warned", False)
    yield
    clients.close()


@pytest.fixture
def admin() -> Iterator[ScriptedAdmin]:
    """An admin interface that does what it is asked."""
    admin = ScriptedAdmin()
    yield admin
    admin.close()


@pytest.fixture
def told(admin: ScriptedAdmin, settings: Settings) -> ScriptedAdmin:
    """The same, and the setting names it."""
    settings.TAGALONG = {"ADMIN_URLS": admin.url}
    return admin


@pytest.fixture
def nobody() -> Iterator[str]:
    """The URL of an admin interface that is not there: nobody listens on its port, nobody gets it."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"
