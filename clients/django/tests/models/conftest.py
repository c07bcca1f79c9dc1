"""What tests of models have: what is told is heard, and nothing is registered."""

from collections.abc import Iterator

import pytest

from django_tagalong import registry, tell

from .telling import Told


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    """Hears what is told, and answers that it was done."""
    told = Told()
    monkeypatch.setattr(tell, "tell", told)
    return told


@pytest.fixture(autouse=True)
def nothing_registered() -> Iterator[None]:
    """No test sees what another has registered."""
    registry.reset_configuration()
    yield
    registry.reset_configuration()
