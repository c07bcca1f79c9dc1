"""Registered models at work: pages of volumes, shelves and readers, and every way to write them.

Objects of one test have keys from `base` on: volumes base+1 and base+2 on shelf base+1, nothing on shelf
base+2; a book base+1, read by user base+1, and a user base+2 who reads nothing.
"""

from asgiref.sync import sync_to_async
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.urls import path

from django_tagalong import cache_tag, register_m2m, register_model, tag

from .library import Shelf, Volume
from .models import Book, User

register_model(
    Volume,
    tags=lambda volume: None if volume.shelf_id is None else tag("Shelf", volume.shelf_id),
    changes={"shelves": ["shelf"]},
)
register_m2m(Book.readers.through)


def page(request: HttpRequest, kind: str, pk: int, what: str | None = None) -> HttpResponse:
    """A page of something, or of what it is connected with."""
    cache_tag(tag(kind, pk) if what is None else tag(kind, pk, what))
    return HttpResponse("page", headers={"Cache-Control": "max-age=60"})


def make(base: int) -> None:
    for n in (1, 2):
        Shelf.objects.create(pk=base + n)
        User.objects.create(pk=base + n)
    Volume.objects.bulk_create([Volume(pk=base + n, shelf_id=base + 1) for n in (1, 2)])
    Book.objects.create(pk=base + 1).readers.add(base + 1)


def save(base: int) -> None:
    volume = Volume.objects.get(pk=base + 1)
    for n in range(3):
        volume.title = str(n)
        volume.save()


def move(base: int) -> None:
    Volume(pk=base + 1, shelf_id=base + 2).save(update_fields=["shelf"])


def roll_back(base: int) -> None:
    with transaction.atomic():
        move(base)
        Volume.objects.filter(shelf_id__gt=base, shelf_id__lt=base + 3).delete()
        Book.objects.get(pk=base + 1).readers.clear()
        transaction.set_rollback(True)


def bulk_update(base: int) -> None:
    Volume.objects.bulk_update([Volume(pk=base + 1, shelf_id=base + 2)], ["shelf"])


WRITES = {
    "make": make,
    "save": save,
    "move": move,
    "roll_back": roll_back,
    "delete": lambda base: Volume.objects.get(pk=base + 1).delete(),
    "delete_shelf": lambda base: Shelf.objects.get(pk=base + 1).delete(),
    "update": lambda base: Volume.objects.filter(pk=base + 1).update(shelf=base + 2),
    "bulk_update": bulk_update,
    "bulk_create": lambda base: Volume.objects.bulk_create([Volume(shelf_id=base + 2)]),
    "many": lambda base: Volume.objects.bulk_create(Volume(shelf_id=base + 2) for _ in range(5000)),
    "add": lambda base: User.objects.get(pk=base + 2).books.add(base + 1),
    "remove": lambda base: Book.objects.get(pk=base + 1).readers.remove(base + 1),
    "clear": lambda base: Book.objects.get(pk=base + 1).readers.clear(),
    "delete_user": lambda base: User.objects.get(pk=base + 1).delete(),
}


def write(request: HttpRequest, how: str, base: int) -> HttpResponse:
    """Writes in one of the ways."""
    WRITES[how](base)
    return HttpResponse("written")


async def awrite(request: HttpRequest, how: str, base: int) -> HttpResponse:
    """As a coroutine."""
    if how == "update":
        await Volume.objects.filter(pk=base + 1).aupdate(shelf=base + 2)
    else:
        await sync_to_async(WRITES[how])(base)
    return HttpResponse("written")


urlpatterns = [
    path("write/<str:how>/<int:base>", write),
    path("awrite/<str:how>/<int:base>", awrite),
    path("<str:kind>/<int:pk>", page),
    path("<str:kind>/<int:pk>/<str:what>", page),
]
