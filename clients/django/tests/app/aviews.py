"""Views for ASGI."""

import asyncio
from collections.abc import AsyncIterator

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse

from django_tagalong import aincrement, increment, tag

from . import views
from .models import User

# Longer than anything that is waited for in a test.
PATIENCE = 20.0

_arrived: dict[str, asyncio.Event] = {}


async def write(request: HttpRequest, how: str, pk: int) -> HttpResponse:
    """POST: writes the body as the user's name, in this way."""
    await sync_to_async(views.WAYS[how])(pk, request.body.decode())
    return HttpResponse("written")


async def stream(request: HttpRequest, pk: int) -> StreamingHttpResponse:
    """POST: writes when half of the answer has been sent, and says then what became of it."""
    name = request.body.decode()

    async def body() -> AsyncIterator[bytes]:
        yield b"first\n"
        await User.objects.aupdate_or_create(pk=pk, defaults={"name": name})
        yield f"{await aincrement(tag('User', pk))}\n".encode()

    return StreamingHttpResponse(body())


async def meet(request: HttpRequest, mine: str, other: str) -> HttpResponse:
    """Reports one change, waits until the other request has reported its own, and reports another."""
    increment(tag(mine, 1))
    arrived = _arrived.setdefault(mine, asyncio.Event())
    arrived.set()
    await asyncio.wait_for(_arrived.setdefault(other, asyncio.Event()).wait(), PATIENCE)
    increment(tag(mine, 2))
    return HttpResponse("met")
