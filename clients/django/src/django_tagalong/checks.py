"""Django's system checks: of the setting, of caches, and of the middleware's place among the others.

Servers do not run them; what makes a setting unusable is therefore found in `conf` too, when a server
starts. What is found here besides works, and loses something.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from django.apps.config import AppConfig
from django.conf import settings
from django.core import checks
from django.utils.module_loading import import_string

from . import conf

OURS = "django_tagalong.middleware.TagalongMiddleware"

# Middleware of Django's own that may put another response in the place of the one it is given.
REPLACING = frozenset(
    {
        "django.contrib.flatpages.middleware.FlatpageFallbackMiddleware",
        "django.contrib.redirects.middleware.RedirectFallbackMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.http.ConditionalGetMiddleware",
        "django.middleware.locale.LocaleMiddleware",
    }
)
CACHING = frozenset(
    {
        "django.middleware.cache.CacheMiddleware",
        "django.middleware.cache.FetchFromCacheMiddleware",
        "django.middleware.cache.UpdateCacheMiddleware",
    }
)


@checks.register()
def check_setting(app_configs: Sequence[AppConfig] | None = None, **_: Any) -> list[checks.CheckMessage]:
    """What is wrong with `TAGALONG`: all of it."""
    return [
        checks.Error(it.says, hint=it.hint, id=it.id)
        for it in conf.problems(getattr(settings, "TAGALONG", {}))
    ]


@checks.register()
def check_middleware(app_configs: Sequence[AppConfig] | None = None, **_: Any) -> list[checks.CheckMessage]:
    """Whether the middleware is there, and whether what it writes leaves the app."""
    return list(_misplaced(list(settings.MIDDLEWARE)))


@checks.register(checks.Tags.security, deploy=True)
def check_transport(app_configs: Sequence[AppConfig] | None = None, **_: Any) -> list[checks.CheckMessage]:
    """Whether the token travels readably (`manage.py check --deploy`)."""
    raw = getattr(settings, "TAGALONG", {})
    if any(conf.problems(raw)):
        return []
    setting = conf.read(raw)
    open_urls = [url for url in setting.admin_urls if url.startswith("http:") and not conf.is_loopback(url)]
    if setting.token is None or not open_urls:
        return []
    return [
        checks.Warning(
            f"The token of {', '.join(open_urls)} travels unencrypted.",
            hint="Use https, or keep the admin interface on a network that nobody else listens to.",
            id="tagalong.W004",
        )
    ]


@checks.register(checks.Tags.caches)
def check_caches(app_configs: Sequence[AppConfig] | None = None, **_: Any) -> list[checks.CheckMessage]:
    """Whether caches that keep values in a sidecar can."""
    from .cache import TagalongCache

    named = {alias: it.get("BACKEND") for alias, it in settings.CACHES.items()}
    ours = [alias for alias, path in named.items() if _is_a(path, TagalongCache)]
    raw = getattr(settings, "TAGALONG", {})
    if not ours or any(conf.problems(raw)) or conf.read(raw).admin_urls:
        return []
    return [
        checks.Warning(
            f"CACHES names a TagalongCache ({', '.join(ours)}) that keeps nothing.",
            hint="TAGALONG['ADMIN_URLS'] says where the sidecar is that would keep it.",
            id="tagalong.W005",
        )
    ]


def _misplaced(middleware: list[str]) -> Iterator[checks.CheckMessage]:
    place = next((n for n, path in enumerate(middleware) if _is_ours(path)), None)
    if place is None:
        yield checks.Warning(
            "TagalongMiddleware is not in MIDDLEWARE: no response has tags, and every change is a call.",
            hint=f"Put {OURS!r} first in MIDDLEWARE.",
            id="tagalong.W001",
        )
        return
    ahead = [path for path in middleware[:place] if path in REPLACING]
    if ahead:
        yield checks.Warning(
            f"{', '.join(ahead)} may drop what TagalongMiddleware writes.",
            hint=f"Put {OURS!r} ahead of it, best first in MIDDLEWARE.",
            id="tagalong.W002",
        )
    caching = [path for path in middleware if path in CACHING]
    if caching:
        yield checks.Warning(
            f"{', '.join(caching)} keeps responses that no increment forgets.",
            hint="Take it out: after an increment the sidecar would be given an old response as a new one.",
            id="tagalong.W003",
        )


def _is_ours(path: str) -> bool:
    from .middleware import TagalongMiddleware

    return path == OURS or _is_a(path, TagalongMiddleware)


def _is_a(path: object, kind: type) -> bool:
    try:
        found = import_string(path) if isinstance(path, str) else path
    except ImportError:  # which Django tells itself
        return False
    return isinstance(found, type) and issubclass(found, kind)
