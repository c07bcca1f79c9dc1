"""Whatever way the shop is written, what shows it is forgotten; the answer says how new pages are then."""

import io
import json
import sys
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.test import Client
from django_tagalong.test import increments_of, recording

from catalogue.models import Category, Collection, Product
from orders.models import Line, Order

from .conftest import Call

pytestmark = pytest.mark.usefixtures("shop")

JSON = "application/json"


def told(response: Any) -> list[str]:
    """What a response has the sidecar forget."""
    assert response.status_code < 400, response.content
    return sorted(increments_of(response))


@pytest.fixture(autouse=True)
def _committed(transactional_db: None) -> None:
    """Increments travel on the response of the request that commits them: these tests do commit."""


def test_a_new_price_forgets_the_product_and_its_category_and_no_search(call: Call) -> None:
    response = call("PATCH", "/api/products/1", price="9.90")
    assert told(response) == ["CategoryProducts:1", "Product:1"]
    assert response.json()["versions"] == {"product:1": 2, "category:1": 15}


def test_a_new_name_forgets_lists_and_searches_too(call: Call) -> None:
    assert told(call("PATCH", "/api/products/1", name="Another")) == [
        "Catalogue",
        "CategoryProducts:1",
        "Product:1",
    ]


def test_repricing_a_category_forgets_each_of_its_products(call: Call) -> None:
    response = call("POST", "/api/categories/2/reprice", percent=10)
    assert told(response) == ["CategoryProducts:2", "Product:15", "Product:16"]
    assert response.json()["versions"] == {"product:15": 2, "product:16": 2, "category:2": 4}
    assert Product.objects.get(pk=15).price == 11


def test_restocking_forgets_those_that_came(call: Call) -> None:
    response = call("POST", "/api/products/restock", products=[1, 15], add=5)
    assert told(response) == ["CategoryProducts:1", "CategoryProducts:2", "Product:1", "Product:15"]
    assert Product.objects.get(pk=15).stock == 25


SHELVES = [
    ("/api/products/2/collections", {"how": "add", "collections": [2, 3]}, [2], [3]),
    ("/api/products/2/collections", {"how": "remove", "collections": [1]}, [2], [1]),
    ("/api/products/2/collections", {"how": "set", "collections": [3, 2]}, [2], [1, 3]),
    ("/api/products/2/collections", {"how": "clear"}, [2], [1, 2]),
    ("/api/collections/1/products", {"how": "add", "products": [2, 15]}, [15], [1]),
    ("/api/collections/1/products", {"how": "remove", "products": [2]}, [2], [1]),
    ("/api/collections/1/products", {"how": "set", "products": [2, 16]}, [1, 16], [1]),
    ("/api/collections/1/products", {"how": "clear"}, [1, 2], [1]),
]


@pytest.mark.parametrize(("path", "body", "products", "collections"), SHELVES)
def test_a_relation_forgets_both_of_its_ends_and_what_did_not_change_is_left(
    call: Call, path: str, body: dict[str, Any], products: list[int], collections: list[int]
) -> None:
    response = call("POST", path, **body)
    ends = [f"Collection:{pk}:products" for pk in collections] + [
        f"Product:{pk}:collections" for pk in products
    ]
    assert told(response) == sorted(ends)
    grown = {f"collection:{pk}" for pk in collections} | {f"shelvings:{pk}" for pk in products}
    assert set(response.json()["versions"]) == grown


def test_putting_in_what_is_there_already_changes_nothing(call: Call) -> None:
    response = call("POST", "/api/collections/1/products", how="add", products=[1])
    assert (increments_of(response), response.json()["versions"]) == ([], {})


def test_an_order_forgets_what_it_takes_and_the_orders_of_who_has_ordered(client: Client) -> None:
    response = client.post("/api/orders", {"products": {"1": 2, "15": 1}}, JSON)
    counts = response.json()["versions"]
    [shopper] = [it.partition(":")[2] for it in counts if it.startswith("orders:")]
    order, line = Order.objects.get(), Order.objects.get().lines.count()
    assert line == 2
    stocks = ["CategoryProducts:1", "CategoryProducts:2", "Product:1", "Product:15"]
    assert set(stocks) | {f"Order:{order.pk}", f"Orders:{shopper}"} <= set(told(response))
    assert counts == {
        "product:1": 2,
        "product:15": 2,
        "category:1": 15,
        "category:2": 3,
        f"orders:{shopper}": 1,
    }


def test_an_order_that_cannot_be_placed_forgets_nothing(client: Client) -> None:
    response = client.post("/api/orders", {"products": {"1": 1, "2": 99}}, JSON)
    assert (response.status_code, increments_of(response)) == (409, [])


@pytest.mark.parametrize("token", ["", "another"])
def test_who_is_not_staff_edits_nothing(call: Call, token: str) -> None:
    response = call("PATCH", "/api/products/1", token, price="0.01")
    assert (response.status_code, increments_of(response)) == (401, [])
    assert Product.objects.get(pk=1).price == 10


def test_without_a_token_of_its_own_the_api_edits_for_nobody(call: Call, settings: Any) -> None:
    settings.STAFF_TOKEN = ""
    assert call("PATCH", "/api/products/1", "", price="0.01").status_code == 401


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/api/products/1", {"price": "much"}, 400),
        ("/api/products/1", {"price": -1, "stock": -1}, 400),
        ("/api/products/1", {"version": 99}, 400),
        ("/api/products/1", {}, 400),
        ("/api/products/999", {"price": 1}, 404),
        ("/api/categories/1/reprice", {"percent": "10"}, 400),
        ("/api/categories/1/reprice", {"percent": 10**30}, 400),
        ("/api/categories/999/reprice", {"percent": 1}, 404),
        ("/api/products/restock", {"products": "all", "add": 1}, 400),
        ("/api/products/restock", {"products": [10**30], "add": 1}, 400),
        ("/api/products/restock", {"products": [1], "add": True}, 400),
        ("/api/products/restock", {"unknown": 1}, 400),
        ("/api/collections/1/products", {"how": "delete"}, 400),
        ("/api/products/1/collections", {"how": "add", "collections": [None]}, 400),
    ],
)
def test_a_mistaken_edit_is_told_and_changes_nothing(
    call: Call, path: str, body: dict[str, Any], status: int
) -> None:
    before = list(Product.objects.values())
    response = call(
        "PATCH" if path.startswith("/api/products/") and path[-1].isdigit() else "POST", path, **body
    )
    assert (response.status_code, increments_of(response)) == (status, [])
    assert response.json()["error"]
    assert list(Product.objects.values()) == before


@pytest.mark.parametrize(
    "body",
    [
        *("", "[]", "{", '{"products": {"1": "1"}}', '{"products": [1]}', '{"products": {}}'),
        pytest.param("[" * 100_000, id="deep"),
    ],
)
@pytest.mark.parametrize("fault", [b"", b"\xff"])
def test_an_order_that_is_no_order_is_told(client: Client, body: str, fault: bytes) -> None:
    response = client.generic("POST", "/api/orders", body.encode() + fault, JSON)
    assert response.status_code in (400, 409)
    assert not Order.objects.exists()


def test_djangos_admin_forgets_as_everybody_does(client: Client) -> None:
    admin = Client()
    admin.force_login(get_user_model().objects.create_superuser("admin"))
    row = {"category": 2, "name": "Thing 01", "about": "Red.", "price": "12", "stock": 3, "is_listed": "on"}
    response = admin.post("/admin/catalogue/product/1/change/", {**row, "collections": [3]})
    moved = {"Product:1", "CategoryProducts:1", "CategoryProducts:2", "Catalogue"}
    shelved = {"Product:1:collections", "Collection:1:products", "Collection:3:products"}
    assert set(told(response)) >= moved | shelved
    response = admin.post("/admin/catalogue/product/", {"action": "take_off", "_selected_action": [15]})
    assert set(told(response)) >= {"Product:15", "CategoryProducts:2", "Catalogue"}
    response = admin.post("/admin/catalogue/product/2/delete/", {"post": "yes"})
    assert {"Product:2", "CategoryProducts:1", "Catalogue", "Collection:1:products"} <= set(told(response))


@pytest.mark.parametrize(
    ("model", "fields", "tags"),
    [
        (Category, {"about": "New."}, {"Category:1", "Category:2", "Categories"}),
        (Collection, {"name": "New"}, {"Collection:1", "Collection:2", "Collection:3", "Collections"}),
        (Product, {"stock": 1}, {"Product:1", "Product:16", "CategoryProducts:1", "CategoryProducts:2"}),
        (Order, {"is_sent": True}, {"Orders:{}"}),
        (Line, {"quantity": 3}, {"Orders:{}"}),
    ],
)
def test_an_update_of_many_rows_of_any_model_forgets_what_shows_them(
    client: Client, model: Any, fields: dict[str, Any], tags: set[str]
) -> None:
    client.post("/api/orders", {"products": {"1": 1}}, JSON)
    with recording() as said:
        model.objects.update(**fields)
    assert {it.format(Order.objects.get().shopper_id) for it in tags} <= set(said.increments)


def test_an_order_that_staff_deletes_is_forgotten_by_who_has_ordered(client: Client) -> None:
    client.post("/api/orders", {"products": {"1": 1}}, JSON)
    order = Order.objects.get()
    admin = Client()
    admin.force_login(get_user_model().objects.create_superuser("admin"))
    assert f"Orders:{order.shopper_id}" in told(
        admin.post(f"/admin/orders/order/{order.pk}/delete/", {"post": "yes"})
    )


def test_an_order_that_was_sent_is_seen_by_who_has_ordered(client: Client) -> None:
    client.post("/api/orders", {"products": {"1": 1}}, JSON)
    order = Order.objects.get()
    with recording() as said:
        order.is_sent = True
        order.save()
    assert said.increments == [f"Order:{order.pk}", f"Orders:{order.shopper_id}"]


def test_edits_without_a_request_are_told_before_they_are_answered(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [
        {"edit": "save", "product": 1, "price": "9.90"},
        {"edit": "save", "product": 999, "price": 1},
        {"edit": "drop"},
        {"edit": "shelve_collection", "collection": 2, "how": "clear"},
    ]
    text = "".join(f"{json.dumps(it)}\n" for it in lines) + "no JSON\n[]\n"
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))
    with recording() as said:
        call_command("edits")
    answers = [json.loads(it) for it in capsys.readouterr().out.splitlines()]
    assert [next(iter(it)) for it in answers] == ["versions", "error", "error", "versions", "error", "error"]
    assert answers[0]["versions"] == {"product:1": 2, "category:1": 15}
    ends = {"Product:2:collections", "Collection:2:products"}
    assert set(said.increments) == {"Product:1", "CategoryProducts:1"} | ends
