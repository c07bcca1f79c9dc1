"""An order: it takes from the stock, or nothing happens."""

from collections.abc import Mapping

from django.db import transaction
from django.db.models import F

from catalogue.models import Product

from .models import Line, Order, Shopper

# Pieces of one product, and products, in one order.
MOST = 99


class CannotBePlacedError(Exception):
    """Something of it is not there. Says what, for people."""


@transaction.atomic
def place(shopper: Shopper, wanted: Mapping[int, int]) -> Order:
    """Orders so many of each product, by its key. Raises `CannotBePlacedError`."""
    if not 1 <= len(wanted) <= MOST or not all(1 <= it <= MOST for it in wanted.values()):
        raise CannotBePlacedError(f"an order has 1 to {MOST} products, and 1 to {MOST} pieces of each")
    products = {it.pk: it for it in Product.objects.filter(pk__in=wanted, is_listed=True)}
    for pk, quantity in sorted(wanted.items()):
        if pk not in products:
            raise CannotBePlacedError(f"there is no product {pk}")
        # The condition is in the statement: of two that want the last piece one gets it.
        enough = Product.objects.filter(pk=pk, stock__gte=quantity)
        if not enough.update(stock=F("stock") - quantity, version=F("version") + 1):
            raise CannotBePlacedError(f"of {products[pk].name} there are fewer than {quantity}")
    order = Order.objects.create(shopper=shopper)
    Line.objects.bulk_create(
        Line(
            order=order,
            product=products[pk],
            name=products[pk].name,
            price=products[pk].price,
            quantity=quantity,
        )
        for pk, quantity in wanted.items()
    )
    return order
