"""Who may write: forms on pages that are the same for everyone, and staff that calls the API.

A page that is stored for everyone holds nobody's CSRF token. What it posts is guarded by what browsers say of
where a request comes from; programs say nothing of it, and have no cookies of a visitor either.
"""

from collections.abc import Callable
from functools import wraps
from hmac import compare_digest
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt

View = Callable[..., HttpResponse]


def same_origin(view: View) -> View:
    """Refuses writes that a page of another origin has sent, in place of Django's token."""

    @csrf_exempt
    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.method not in ("GET", "HEAD") and not _is_own(request):
            return HttpResponse("This came from another origin.", status=403, content_type="text/plain")
        return view(request, *args, **kwargs)

    return guarded


def _is_own(request: HttpRequest) -> bool:
    whence = request.headers.get("Sec-Fetch-Site")
    if whence is not None:
        return whence in ("same-origin", "none")
    origin = request.headers.get("Origin")
    return origin is None or urlsplit(origin).netloc == request.get_host()


def staff(view: View) -> View:
    """Asks for `Authorization: Bearer <SHOP_STAFF_TOKEN>`, which no browser sends by itself."""

    @csrf_exempt
    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        said = request.headers.get("Authorization", "").encode()
        wanted = f"Bearer {settings.STAFF_TOKEN}".encode()
        if not settings.STAFF_TOKEN or not compare_digest(said, wanted):
            return JsonResponse({"error": "staff only"}, status=401, headers={"WWW-Authenticate": "Bearer"})
        return view(request, *args, **kwargs)

    return guarded
