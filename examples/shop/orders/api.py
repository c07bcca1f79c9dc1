"""Orders as JSON, of whoever has the session's cookie."""

from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_POST

from catalogue.api import body_of
from catalogue.versions import Counts
from shop.guards import same_origin

from .placing import CannotBePlacedError, place
from .visitors import shopper_for


@same_origin
@require_POST
def orders(request: HttpRequest) -> HttpResponse:
    """`POST /api/orders {"products": {"12": 2}}`"""
    try:
        wanted = _wanted(body_of(request).get("products"))
        shopper = shopper_for(request)
        with transaction.atomic():
            counts = Counts(wanted)
            order = place(shopper, wanted)
            grown = counts.grown() | {f"orders:{shopper.pk}": shopper.orders.count()}
    except ValidationError as wrong:
        return JsonResponse({"error": wrong.message}, status=400)
    except CannotBePlacedError as wrong:
        return JsonResponse({"error": str(wrong)}, status=409)
    said = {"order": order.pk, "url": order.get_absolute_url(), "versions": grown}
    return JsonResponse(said, status=201)


def _wanted(said: object) -> dict[int, int]:
    if isinstance(said, dict) and all(_is_key(pk) and type(it) is int for pk, it in said.items()):
        return {int(pk): quantity for pk, quantity in said.items()}
    raise ValidationError('expected is {"products": {"12": 2}}')


def _is_key(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19
