"""The page in Django's admin, with the real sidecar: it purges, and shows that it did."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client as Browser
from pytest_django import Settings

from django_tagalong import Client

from .alone import Alone

pytestmark = pytest.mark.django_db

PAGE = "/admin/django_tagalong/sidecar/"


@pytest.fixture
def sidecar(tmp_path: Path, settings: Settings) -> Iterator[Alone]:
    sidecar = Alone(tmp_path / "sidecar", more="purge_groups: { books: { tags: [Books] } }\n")
    settings.TAGALONG = sidecar.setting
    yield sidecar
    sidecar.stop()


def test_staff_purge_a_group_and_others_are_refused(sidecar: Alone) -> None:
    client = Client(sidecar.admin, sidecar.token)
    client.increment(["Books", "Other"])
    before = {name: client.tag(name).version for name in ("Books", "Other")}
    wish = {"target": "group", "value": "books", "confirmed": "yes"}

    browser = Browser()
    browser.force_login(User.objects.create_user("staff", is_staff=True))
    assert browser.post(f"{PAGE}purge/", wish).status_code == 403
    assert client.tag("Books").version == before["Books"]

    browser.force_login(User.objects.create_superuser("root"))
    page = browser.post(f"{PAGE}purge/", wish, follow=True).content.decode()
    assert f"Forgotten at {sidecar.admin}: group books." in page
    assert "group: books" in page
    assert (client.tag("Books").version or 0) > (before["Books"] or 0)
    assert client.tag("Other").version == before["Other"]
    client.close()


def test_a_group_that_the_sidecar_does_not_have_is_refused_in_its_words(sidecar: Alone) -> None:
    browser = Browser()
    browser.force_login(User.objects.create_superuser("root"))
    wish = {"target": "group", "value": "nope", "confirmed": "yes"}
    page = browser.post(f"{PAGE}purge/", wish, follow=True).content.decode()
    assert f"Not forgotten at {sidecar.admin}: group nope." in page
    assert "there is none of this name" in page
