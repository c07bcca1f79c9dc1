"""Views as apps have them."""

from django.db import transaction
from django.http import HttpRequest, HttpResponse

from django_tagalong import collector, increment, tag

from .models import User


def user(request: HttpRequest, pk: str) -> HttpResponse:
    """A page that names its tag."""
    here = collector.current()
    if here is not None:
        here.tag(tag("User", pk))
    found = User.objects.filter(name=pk).first()
    return HttpResponse(found.name if found else "nobody", headers={"Cache-Control": "max-age=60"})


def save_thrice(request: HttpRequest, pk: int) -> HttpResponse:
    """Three saves in one transaction."""
    with transaction.atomic():
        for n in range(3):
            User.objects.update_or_create(pk=pk, defaults={"name": f"{n}"})
            increment(tag("User", pk))
    return HttpResponse("saved")
