"""The setting `TAGALONG`: one dict, read into a type that cannot be wrong.

Decides what each key may be, and what it is when it is not there. What is wrong is found here once, for
the system checks (which tell all of it) and for the start of a server (which does not run them, and must
not start with half a setting).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from ipaddress import ip_address
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.views.decorators.debug import sensitive_variables


@dataclass(frozen=True, slots=True)
class Settings:
    """What `TAGALONG` says; its keys are these names in capitals."""

    enabled: bool = True
    """False: no header is written and nobody is told of a change."""
    admin_urls: tuple[str, ...] = ()
    """Admin interfaces, such as `http://127.0.0.1:9080`. Several: sidecars that share no store, so that each
    is told.
    """
    at_once: bool = False
    """True: what a request has committed is told to the admin interface at once, and by its response too."""
    token: str | None = field(default=None, repr=False)
    """The token of the admin interface."""
    again: int | None = None
    """After how many seconds every increment is repeated that says nothing of it: longer than the app's read
    replicas lag behind.
    """
    timeout: float = 2.0
    """Seconds that one try of a call may take."""
    retries: int = 2
    """How often a call is tried again."""
    max_tags: int = 256
    """From how many tags on a response is noted in the log, as the sidecar does not store it
    (`limits.max_tags`).
    """
    max_tag_bytes: int = 16 * 1024
    """How many bytes of tags a response may have; with more it says that it is not to be stored
    (`limits.max_tag_bytes`).
    """
    max_header_line: int = 4096
    """How many bytes a header line may have; a longer list is several lines."""
    max_increment_bytes: int = 32 * 1024
    """How many bytes of increments a response carries; what is more goes to the admin interface before it
    leaves.
    """


class Problem(NamedTuple):
    """What is wrong with the setting."""

    id: str
    says: str
    hint: str


# The range of each number, ends included.
_RANGES: dict[str, tuple[float, float]] = {
    "AGAIN": (1, 86_400),
    "TIMEOUT": (0.01, 600),
    "RETRIES": (0, 10),
    "MAX_TAGS": (1, 100_000),
    "MAX_TAG_BYTES": (256, 1024 * 1024),
    "MAX_HEADER_LINE": (256, 64 * 1024),
    "MAX_INCREMENT_BYTES": (0, 1024 * 1024),
}
_KEYS = {it.name.upper(): it.name for it in fields(Settings)}

_current: Settings | None = None


def get() -> Settings:
    """The setting as it is now.

    Raises `ImproperlyConfigured`, naming everything that is wrong with it.
    """
    global _current
    if _current is None:
        _current = read(getattr(django_settings, "TAGALONG", {}))
    return _current


@sensitive_variables()
def read(raw: object) -> Settings:
    """Makes a `Settings` of the dict. Raises `ImproperlyConfigured`, naming all that is wrong with it."""
    wrong = list(problems(raw))
    if wrong:
        raise ImproperlyConfigured("\n".join(f"{it.id}: {it.says} {it.hint}" for it in wrong))
    if not isinstance(raw, Mapping):
        raise TypeError("what is no mapping is a problem")
    values: dict[str, Any] = {_KEYS[key]: value for key, value in raw.items()}
    if "admin_urls" in values:
        values["admin_urls"] = tuple(dict.fromkeys(url.rstrip("/") for url in _urls(values["admin_urls"])))
    return Settings(**values)


def problems(raw: object) -> Iterator[Problem]:
    """What is wrong with the dict, all of it."""
    if not isinstance(raw, Mapping):
        yield Problem("tagalong.E001", f"TAGALONG is a {type(raw).__name__}.", "A dict is expected.")
        return
    for key, value in raw.items():
        if key not in _KEYS:
            known = ", ".join(_KEYS)
            yield Problem("tagalong.E002", f"TAGALONG has the unknown key {key!r}.", f"Known are {known}.")
        elif key == "ADMIN_URLS":
            yield from _url_problems(value)
        elif key == "TOKEN":
            yield from _token_problems(value)
        elif key in ("ENABLED", "AT_ONCE"):
            if not isinstance(value, bool):
                yield _kind(key, "True or False")
        else:
            yield from _number_problems(key, value)
    yield from _missing_token(raw)


def _kind(key: str, expected: str) -> Problem:
    return Problem(
        "tagalong.E003", f"TAGALONG[{key!r}] is not what it should be.", f"Expected is {expected}."
    )


def _number_problems(key: str, value: object) -> Iterator[Problem]:
    if key == "AGAIN" and value is None:
        return
    low, high = _RANGES[key]
    whole = key != "TIMEOUT"
    kinds = int if whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:
        yield _kind(key, f"a {'whole ' if whole else ''}number from {low:g} to {high:g}")


def _urls(value: object) -> list[Any]:
    if isinstance(value, str):
        return [value]
    return list(value) if isinstance(value, list | tuple) else [value]


def _url_problems(value: object) -> Iterator[Problem]:
    for url in _urls(value):
        if not _is_url(url):
            yield Problem(
                "tagalong.E004",
                "TAGALONG['ADMIN_URLS'] has something that is no URL of an admin interface.",
                "Expected is text, or a list of it, such as 'http://127.0.0.1:9080'; no user, no query.",
            )


def _is_url(url: object) -> bool:
    if not isinstance(url, str) or not url.isascii() or not url.isprintable() or " " in url:
        return False
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    extra = parts.query or parts.fragment or "@" in parts.netloc
    return parts.scheme in ("http", "https") and bool(parts.hostname) and port != 0 and not extra


def _token_problems(value: object) -> Iterator[Problem]:
    if value is not None and not is_token(value):
        yield _kind("TOKEN", "None, or text of printable ASCII without spaces (its value is not shown here)")


def is_token(value: object) -> bool:
    """Whether a header can carry it as a token."""
    return isinstance(value, str) and value.isascii() and value.isprintable() and value.split() == [value]


def _missing_token(raw: Mapping[Any, Any]) -> Iterator[Problem]:
    urls = [url for url in _urls(raw.get("ADMIN_URLS", [])) if _is_url(url)]
    if raw.get("TOKEN") is None and not all(map(is_loopback, urls)):
        yield Problem(
            "tagalong.E005",
            "TAGALONG['ADMIN_URLS'] names another machine, and there is no TAGALONG['TOKEN'].",
            "A sidecar that other machines reach wants its token (admin.token_env).",
        )


def is_loopback(url: str) -> bool:
    """Whether a URL names this machine; a name, other than `localhost`, may be anybody's."""
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _forget(*, setting: str, **_: object) -> None:
    global _current
    if setting == "TAGALONG":
        _current = None


setting_changed.connect(_forget, dispatch_uid="django_tagalong.conf")
