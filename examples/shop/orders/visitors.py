"""Who is asking, and what is in the cart: both are in the session."""

from django.http import HttpRequest

from .models import Shopper


def shopper_of(request: HttpRequest) -> Shopper | None:
    """Who has this session, if anybody has ordered or filled a cart in it."""
    pk = request.session.get("shopper")
    return None if pk is None else Shopper.objects.filter(pk=pk).first()


def shopper_for(request: HttpRequest) -> Shopper:
    """The same; somebody new gets a session."""
    shopper = shopper_of(request)
    if shopper is None:
        shopper = Shopper.objects.create()
        request.session["shopper"] = str(shopper.pk)
    return shopper


def cart_of(request: HttpRequest) -> dict[int, int]:
    """So many of each product, by its key."""
    return {int(pk): quantity for pk, quantity in request.session.get("cart", {}).items()}


def keep_cart(request: HttpRequest, cart: dict[int, int]) -> None:
    """Puts it into the session, under text as keys: that is what JSON has."""
    request.session["cart"] = {str(pk): quantity for pk, quantity in cart.items()}
