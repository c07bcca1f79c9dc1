"""Pages show what there is, name what they depend on, and are nobody else's."""

import re

import pytest
from django.core.management import call_command
from django.test import Client
from django_tagalong.test import tags_of

from catalogue.models import Category, Collection, Product
from loading.floors import shown
from loading.http import Answer
from orders.models import Order

FRESHNESS = "Tagalong-Cache-Control"
pytestmark = pytest.mark.usefixtures("shop")


def cards(*pks: int) -> list[str]:
    return [f"Product:{pk}" for pk in pks]


PUBLIC = {
    "/": ["Catalogue", "Collections", "Categories", *cards(1, 2)]
    + [f"Collection:{pk}{end}" for pk in (1, 2, 3) for end in ("", ":products")],
    "/categories/teapots": ["Category:2", "CategoryProducts:2", "Categories", *cards(15, 16)],
    "/collections/gifts": ["Catalogue", "Collection:1", "Collection:1:products", "Categories", *cards(1, 2)],
    "/search?q=blue": ["Catalogue", "Categories", "Product:15"],
    "/products/2": [
        "Product:2",
        "Product:2:collections",
        "Categories",
        "Category:1",
        "Collection:1",
        "Collection:2",
    ],
    "/api/products?q=blue": ["Catalogue", "Product:15", "Category:2"],
    "/api/products/1": ["Product:1", "Product:1:collections", "Category:1", "Collection:1"],
}


@pytest.mark.parametrize(("path", "tags"), PUBLIC.items())
def test_a_page_names_all_that_it_shows_and_how_long_it_may_be_kept(
    client: Client, path: str, tags: list[str]
) -> None:
    response = client.get(path)
    assert response.status_code == 200
    assert sorted(tags_of(response)) == sorted(tags)
    assert response[FRESHNESS] == "max-age=3600"


@pytest.mark.parametrize("path", PUBLIC)
def test_a_page_for_everyone_has_nothing_of_one_visitor(client: Client, path: str) -> None:
    client.post("/cart/add", {"product": 1})
    response = client.get(path)
    assert not response.cookies
    assert "Cookie" not in response.get("Vary", "")
    assert b"csrfmiddlewaretoken" not in response.content


def test_lists_have_pages_and_what_is_not_listed_is_nowhere(client: Client) -> None:
    first = client.get("/categories/cups").content.decode()
    second = client.get("/categories/cups?page=2").content.decode()
    assert "Page 1 of 2" in first
    assert 'href="?page=2"' in first
    assert [len(re.findall('class="card"', it)) for it in (first, second)] == [12, 2]
    Product.objects.filter(pk=15).update(is_listed=False)
    for path in ("/categories/teapots", "/search?q=blue", "/api/products?q=blue"):
        assert b"Thing 15" not in client.get(path).content
    assert client.get("/products/15").status_code == 404


def test_a_search_shows_what_it_was_asked_for_as_text_and_keeps_it_between_pages(client: Client) -> None:
    page = client.get("/search", {"q": ' <script>alert("1")</script> '}).content.decode()
    assert "<script>" not in page
    assert "0 found" in page
    assert 'href="?q=thing&amp;page=2"' in client.get("/search?q=thing").content.decode()
    assert 'href="?q=thing&amp;page=1"' in client.get("/search?q=thing&page=99").content.decode()


@pytest.mark.parametrize("path", PUBLIC)
def test_counts_on_pages_are_those_that_edits_answer_with(client: Client, path: str) -> None:
    Product.objects.filter(pk=2).update(version=7)
    response = client.get(path)
    seen = shown(Answer(200, {"content-type": response["Content-Type"]}, response.content))
    assert seen
    if "Product:2" in tags_of(response):
        assert seen["product:2"] == 7
    assert not re.search(rb'data-version="(?!\d+")', response.content)


def test_a_cart_is_filled_ordered_and_emptied_and_never_stored(client: Client) -> None:
    for _ in range(2):
        assert client.post("/cart/add", {"product": 1}).status_code == 302
    cart = client.get("/cart")
    assert b"20.00" in cart.content
    assert {"private", "no-store"} <= set(cart["Cache-Control"].split(", "))
    token = re.search(r'csrfmiddlewaretoken" value="(\w+)"', cart.content.decode())
    assert token is not None
    assert client.post("/checkout").status_code == 403, "without its token"
    ordered = client.post("/checkout", {"csrfmiddlewaretoken": token[1]})
    assert client.get(ordered["Location"]).status_code == 200
    assert b"It is empty" in client.get("/cart").content
    assert Product.objects.get(pk=1).stock == 18


def test_what_is_no_longer_sold_leaves_the_cart_before_anything_is_ordered(client: Client) -> None:
    for pk in (1, 2):
        client.post("/cart/add", {"product": pk})
    token = re.search(r'csrfmiddlewaretoken" value="(\w+)"', client.get("/cart").content.decode())
    assert token is not None
    Product.objects.filter(pk=2).update(is_listed=False)
    said = client.post("/checkout", {"csrfmiddlewaretoken": token[1]})
    assert (said.status_code, Order.objects.count()) == (409, 0)
    assert b"no longer sold" in said.content
    assert client.post("/checkout", {"csrfmiddlewaretoken": token[1]}).status_code == 302
    assert Order.objects.get().lines.get().name == "Thing 01"


def test_what_is_sold_out_is_not_ordered_and_nothing_of_the_order_happens(client: Client) -> None:
    Product.objects.filter(pk=2).update(stock=1)
    said = client.post("/api/orders", {"products": {"1": 1, "2": 2}}, "application/json")
    assert (said.status_code, said.json()["error"]) == (409, "of Thing 02 there are fewer than 2")
    assert Product.objects.get(pk=1).stock == 20
    assert not Order.objects.exists()


@pytest.mark.parametrize(
    "site", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}, {"Origin": "null"}]
)
def test_another_site_cannot_fill_a_cart_or_order(client: Client, site: dict[str, str]) -> None:
    assert client.post("/cart/add", {"product": 1}, headers=site).status_code == 403
    said = client.post("/api/orders", {"products": {"1": 1}}, "application/json", headers=site)
    assert said.status_code == 403
    assert not Order.objects.exists()


def test_a_browser_on_the_shops_own_page_can(client: Client) -> None:
    for own in ({"Sec-Fetch-Site": "same-origin"}, {"Origin": "http://testserver"}):
        assert client.post("/cart/add", {"product": 1}, headers=own).status_code == 302


def test_l12_orders_are_of_the_visitor_alone_and_kept_only_with_a_tag_that_forgets_them(
    client: Client,
) -> None:
    stranger = client.get("/orders")
    assert tags_of(stranger) == ["Categories"]
    assert stranger["Cache-Control"] == "private, no-store"
    assert FRESHNESS not in stranger
    order = client.post("/api/orders", {"products": {"1": 1}}, "application/json").json()
    mine = client.get("/orders")
    [shopper] = [it for it in order["versions"] if it.startswith("orders:")]
    assert tags_of(mine) == [shopper.replace("orders", "Orders"), "Categories"]
    assert order["url"] in mine.content.decode()
    assert mine[FRESHNESS] == "max-age=600"
    another = Client()
    another.post("/api/orders", {"products": {"2": 1}}, "application/json")
    assert another.get(order["url"]).status_code == 404
    assert order["url"] not in another.get("/orders").content.decode()


def test_a_catalogue_is_made_once() -> None:
    before = Product.objects.count()
    call_command("seed", verbosity=0)
    assert (Product.objects.count(), Collection.objects.count()) == (before, 3)


def test_the_catalogue_that_is_made_has_something_everywhere(client: Client) -> None:
    for model in (Product, Category, Collection):
        model.objects.all().delete()
    call_command("seed", verbosity=0)
    assert Product.objects.count() == 120
    for row in [*Category.objects.all(), *Collection.objects.all()]:
        assert b'class="card"' in client.get(row.get_absolute_url()).content
