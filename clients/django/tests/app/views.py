"""Views as apps have them: pages with tags, and every way to write."""

import os
import signal
import threading
from collections.abc import Callable, Iterator

from django.db import transaction
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse

from django_tagalong import change, collector, increment, tag

from .models import User

FRESH = {"Cache-Control": "max-age=60"}


def name_tags(*tags: str) -> None:
    """The response that is being made has these tags."""
    here = collector.current()
    assert here is not None
    assert here.tag(*tags)


def user(request: HttpRequest, pk: int) -> HttpResponse:
    """A page that shows a user, of the database that is asked for, and has their tag."""
    name_tags(tag("User", pk))
    found = User.objects.using(request.GET.get("using", "default")).filter(pk=pk).first()
    return HttpResponse(found.name if found else "nobody", headers=FRESH)


def value(request: HttpRequest, value: str | None = None) -> HttpResponse:
    """GET: a page of a value, tagged by the view if it is asked to, else by a rule. POST: it changed."""
    values = [value] if value is not None else request.GET.getlist("value")
    named = tag("Value" if len(values) == 1 else "Pair", *values)
    if request.method == "POST":
        increment(named)
    elif "tagged" in request.GET:
        name_tags(named)
    return HttpResponse("value", headers=FRESH)


def shelves(request: HttpRequest) -> HttpResponse:
    """A page that a rule knows the dimensions of."""
    return HttpResponse(request.GET["shelf"], headers=FRESH)


def tags(request: HttpRequest, count: int) -> HttpResponse:
    """A page with so many tags."""
    name_tags(*(tag("User", n) for n in range(count)))
    return HttpResponse("tags", headers=FRESH)


def save(pk: int, name: str, using: str = "default") -> None:
    """One save, and what a signal would report of it."""
    User.objects.using(using).update_or_create(pk=pk, defaults={"name": name})
    increment(tag("User", pk), using=using)


def update(pk: int, name: str) -> None:
    """Of what is there; it waits for others that write."""
    with transaction.atomic():
        User.objects.filter(pk=pk).update(name=name)
        increment(tag("User", pk))


def thrice(pk: int, name: str) -> None:
    for n in range(3):
        save(pk, name if n == 2 else f"not yet: {n}")


def thrice_at_once(pk: int, name: str) -> None:
    with transaction.atomic():
        thrice(pk, name)


def roll_back(pk: int, name: str) -> None:
    with transaction.atomic():
        save(pk, name)
        transaction.set_rollback(True)


def roll_back_inner(pk: int, name: str) -> None:
    with transaction.atomic():
        save(pk, name)
        with transaction.atomic():
            save(pk + 1, name)
            transaction.set_rollback(True)
        save(pk + 2, name)


def nest(pk: int, name: str) -> None:
    with transaction.atomic():
        save(pk, name)
        with transaction.atomic():
            save(pk + 1, name)
            with transaction.atomic(savepoint=False):
                save(pk + 2, name)


def commit_and_raise(pk: int, name: str) -> None:
    with transaction.atomic():
        save(pk, name)
    raise RuntimeError("after the commit")


def commit_and_die(pk: int, name: str) -> None:
    save(pk, name)
    os.kill(os.getpid(), signal.SIGKILL)


def save_elsewhere(pk: int, name: str) -> None:
    """In two databases, of which one takes it back."""
    with transaction.atomic(using="default"), transaction.atomic(using="other"):
        save(pk, name, using="other")
        save(pk + 1, name, using="default")
        transaction.set_rollback(True, using="default")


def save_many(pk: int, name: str) -> None:
    with transaction.atomic():
        User.objects.bulk_create(
            (User(pk=n, name=name) for n in range(pk)),
            update_conflicts=True,
            unique_fields=["id"],
            update_fields=["name"],
        )
        for n in range(pk):
            increment(tag("User", n))


def save_in_thread(pk: int, name: str) -> None:
    def work() -> None:
        try:
            save(pk, name)
        finally:
            transaction.get_connection().close()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def report_softly(pk: int, name: str) -> None:
    increment(tag("User", pk), soft=True)
    increment(tag("User", pk + 1), again=1)


def report_change(pk: int, name: str) -> None:
    change("shelves", {"shelf": "a"}, {"shelf": name})


WAYS: dict[str, Callable[[int, str], None]] = {
    "save": save,
    "update": update,
    "thrice": thrice,
    "thrice-at-once": thrice_at_once,
    "roll-back": roll_back,
    "roll-back-inner": roll_back_inner,
    "nest": nest,
    "commit-and-raise": commit_and_raise,
    "commit-and-die": commit_and_die,
    "elsewhere": save_elsewhere,
    "many": save_many,
    "thread": save_in_thread,
    "softly": report_softly,
    "change": report_change,
}


def write(request: HttpRequest, how: str, pk: int) -> HttpResponse:
    """POST: writes the body as the user's name, in this way."""
    WAYS[how](pk, request.body.decode())
    return HttpResponse("written")


def stream(request: HttpRequest, pk: int) -> StreamingHttpResponse:
    """POST: writes when half of the answer has been sent, and says then what became of it."""
    name = request.body.decode()

    def body() -> Iterator[bytes]:
        yield b"first\n"
        User.objects.update_or_create(pk=pk, defaults={"name": name})
        yield f"{increment(tag('User', pk))}\n".encode()

    return StreamingHttpResponse(body())
