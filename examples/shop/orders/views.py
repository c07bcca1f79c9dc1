"""Pages for one visitor. The cart is private. Orders may be stored, as the sidecar's key for them holds the
session's cookie (rules/shop.yaml); they depend on the orders of one shopper.
"""

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_GET, require_POST
from django_tagalong import cache_tag, cache_tags

from catalogue.models import Product
from shop.guards import same_origin

from .models import Order
from .placing import MOST, CannotBePlacedError, place
from .visitors import cart_of, keep_cart, shopper_for, shopper_of

TTL = 600

private = cache_control(private=True, no_store=True)


@private
def cart(request: HttpRequest) -> HttpResponse:
    """What is in the cart."""
    return _cart(request)


def _cart(request: HttpRequest, wrong: str = "", status: int = 200) -> HttpResponse:
    wanted = cart_of(request)
    lines = [
        {"product": it, "quantity": wanted[it.pk], "total": it.price * wanted[it.pk]}
        for it in Product.objects.filter(pk__in=wanted, is_listed=True)
    ]
    shown = {"lines": lines, "total": sum(it["total"] for it in lines), "wrong": wrong}
    return render(request, "orders/cart.html", shown, status=status)


@same_origin
@require_POST
def add(request: HttpRequest) -> HttpResponse:
    """One more of a product: what the form of a page sends that is the same for everyone."""
    row = get_object_or_404(Product, pk=_number(request.POST.get("product")), is_listed=True)
    wanted = cart_of(request)
    if row.pk in wanted or len(wanted) < MOST:
        wanted[row.pk] = min(wanted.get(row.pk, 0) + 1, MOST)
    keep_cart(request, wanted)
    return redirect("cart")


@require_POST
def remove(request: HttpRequest) -> HttpResponse:
    """All of a product."""
    wanted = cart_of(request)
    wanted.pop(_number(request.POST.get("product")), None)
    keep_cart(request, wanted)
    return redirect("cart")


@private
@require_POST
def checkout(request: HttpRequest) -> HttpResponse:
    """Orders what is in the cart."""
    wanted = cart_of(request)
    listed = set(Product.objects.filter(is_listed=True, pk__in=wanted).values_list("pk", flat=True))
    if not listed.issuperset(wanted):
        keep_cart(request, {pk: quantity for pk, quantity in wanted.items() if pk in listed})
        return _cart(request, "Something is no longer sold, and was taken out. Look again.", status=409)
    try:
        order = place(shopper_for(request), wanted)
    except CannotBePlacedError as wrong:
        return _cart(request, f"This cannot be ordered: {wrong}.", status=409)
    keep_cart(request, {})
    return redirect(order)


@require_GET
@cache_tags(ttl=TTL)
def mine(request: HttpRequest) -> HttpResponse:
    """All orders of a visitor."""
    orders = _orders(request)
    response = render(request, "orders/mine.html", {"orders": orders, "shopper": shopper_of(request)})
    return _for_one(response, orders)


@require_GET
@cache_tags(ttl=TTL)
def order(request: HttpRequest, pk: int) -> HttpResponse:
    """One of them."""
    orders = _orders(request)
    row = get_object_or_404(Order.objects.none() if orders is None else orders, pk=pk)
    return _for_one(render(request, "orders/order.html", {"order": row}), orders)


def _orders(request: HttpRequest) -> QuerySet[Order] | None:
    shopper = shopper_of(request)
    if shopper is None:
        return None
    cache_tag(("Orders", shopper.pk))
    return shopper.orders.prefetch_related("lines")


def _for_one(response: HttpResponse, orders: QuerySet[Order] | None) -> HttpResponse:
    # Who has no orders yet has no tag: nothing would forget the page when the first one comes.
    if orders is None:
        response.headers["Cache-Control"] = "private, no-store"
    return response


def _number(text: str | None) -> int:
    """A key as a form sends it; 0, which none has, for anything else."""
    is_key = text is not None and text.isascii() and text.isdigit() and len(text) < 19
    return int(text) if is_key and text else 0
