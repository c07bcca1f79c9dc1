"""What the tests of the shop have: a small catalogue, staff, and a visitor with and without a cookie."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client, override_settings

from catalogue.models import Category, Collection, Product

STAFF = "a token for these tests"


@pytest.fixture(scope="session", autouse=True)
def _no_sidecar() -> Iterator[None]:
    """Whoever runs the tests may have a shop running."""
    with override_settings(TAGALONG={}):
        yield


@pytest.fixture
def shop(db: None) -> None:
    """Fourteen cups, so that there is a second page, two teapots, and three collections."""
    cups = Category.objects.create(pk=1, name="Cups", slug="cups", about="To drink from.")
    pots = Category.objects.create(pk=2, name="Teapots", slug="teapots", about="To pour from.")
    for pk, name in enumerate(("Gifts", "New", "Rare"), 1):
        Collection.objects.create(pk=pk, name=name, slug=name.lower())
    for pk in range(1, 17):
        category = cups if pk < 15 else pots
        Product.objects.create(
            pk=pk,
            category=category,
            name=f"Thing {pk:02}",
            about="Blue." if pk == 15 else "Red.",
            price=10,
            stock=20,
        )
    Product.objects.get(pk=1).collections.add(1)
    Product.objects.get(pk=2).collections.add(1, 2)


@pytest.fixture
def client() -> Client:
    """A visitor, whose forms are checked as those of a browser are."""
    return Client(enforce_csrf_checks=True)


Call = Callable[..., Any]


@pytest.fixture
def call(client: Client, settings: Any) -> Call:
    """An edit of staff by the API: `call("PATCH", "/api/products/1", price="9.90")`."""
    settings.STAFF_TOKEN = STAFF

    def call(method: str, path: str, token: str = STAFF, **body: object) -> Any:
        return client.generic(
            method, path, json.dumps(body), "application/json", headers={"Authorization": f"Bearer {token}"}
        )

    return call
