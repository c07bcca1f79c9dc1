"""The admin interface of one sidecar, call by call (docs/admin.md): JSON over HTTP, a method for each call.

Keeps a connection for each thread and process, and tries again where nothing was said (no connection,
503). All of what it calls may be done twice without harm. Decides nothing about what is to be told to
whom.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from django.views.decorators.debug import sensitive_variables

from .tags import check_tagged
from .wire import Answer, SidecarError, Wire

__all__ = ["AuditPage", "Client", "Incremented", "Missing", "Object", "Refreshed", "SidecarError", "TagState"]

T = TypeVar("T")

# What one call takes: the sidecar's own limits are 10,000 tags and 1 MiB.
MAX_CALL_TAGS = 10_000
MAX_CALL_BYTES = 512 * 1024
# How many seconds a call may take that goes through everything, as the sidecar allows it.
LONG = 600.0


@dataclass(frozen=True, slots=True)
class Incremented:
    """What was incremented."""

    incremented: int
    versions: Mapping[str, int]
    ignored: tuple[str, ...]
    """Tags with a constant version, of which nothing changed."""


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What was fetched again."""

    refreshed: int
    failed: int
    skipped: int
    cursor: str | None


@dataclass(frozen=True, slots=True)
class TagState:
    """A tag as it is now."""

    tag: str
    version: int | None
    """None: nobody has named it yet, or all that did was forgotten."""
    app_version: int | None
    incremented: Mapping[str, Any] | None
    """Its last increment: `at`, `ago_seconds`, `by`, `source`."""


@dataclass(frozen=True, slots=True)
class AuditPage:
    """What was done, newest first: each with `id`, `at`, `who`, `sidecar`, `what`, `target`, `effect`,
    `status`.
    """

    records: tuple[Mapping[str, Any], ...]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class Object:
    """A value of the app's own."""

    body: bytes
    content_type: str
    age: int
    """For how many seconds it has been stored."""
    entry: str = ""
    """The key of its entry, for `set_life`."""


@dataclass(frozen=True, slots=True)
class Missing:
    """Nothing is stored under the key."""

    token: str | None
    """What a `put_object` presents, so that nothing old is stored (L1)."""


class Said(dict[str, Any]):
    """The JSON of an answer; where something is missing, something else than a sidecar has answered."""

    def take(self, name: str, kind: type[T]) -> T:
        """The field, which is there and of this kind."""
        value = self.take_or_none(name, kind)
        if value is None:
            raise SidecarError(f"what answered is no sidecar: `{name}` was expected")
        return value

    def take_or_none(self, name: str, kind: type[T]) -> T | None:
        """The field, which may be null or not there."""
        value = self.get(name)
        if value is not None and not isinstance(value, kind):
            raise SidecarError(f"what answered is no sidecar: `{name}` is not what was expected")
        return value


class Client:
    """The admin interface at `url`. Every method raises `SidecarError` where the call was not done."""

    @sensitive_variables("token")
    def __init__(self, url: str, token: str | None = None, timeout: float = 2.0, retries: int = 2) -> None:
        """`timeout` is in seconds and for one try; `retries` says how often it is tried again."""
        self._wire = Wire(url, token, timeout, retries)

    def __repr__(self) -> str:
        return f"Client({self.url!r})"

    @property
    def url(self) -> str:
        """Where it is."""
        return self._wire.url

    @property
    def is_away(self) -> bool:
        """Whether it did not answer a moment ago: to ask it again may take as long once more."""
        return self._wire.is_away

    def increment(self, tags: Iterable[str], soft: bool = False, again: int | None = None) -> Incremented:
        """Gives tags new versions, in as many calls as they need; done once all sidecars' store has committed
        all of them.
        """
        done, versions, ignored = 0, dict[str, int](), list[str]()
        for some in _portions(tags):
            wish: dict[str, Any] = {"tags": some}
            if soft:
                wish["soft"] = True
            if again is not None:
                wish["again"] = f"{again}s"
            said = self._post("/v1/tags/increment", wish)
            done += said.take("incremented", int)
            versions.update(said.take("versions", dict))
            ignored.extend(said.take("ignored", list))
        return Incremented(done, versions, tuple(ignored))

    def change(self, rule: str, old: Mapping[str, str], new: Mapping[str, str]) -> int:
        """Tells of changed attributes; how many tags were incremented for them."""
        said = self._post("/v1/change", {"rule": rule, "old": dict(old), "new": dict(new)})
        return said.take("incremented", int)

    def purge(
        self,
        *,
        url: str | None = None,
        rule: str | None = None,
        group: str | None = None,
        tags: Sequence[str] | None = None,
        match: str | None = None,
        all: bool | None = None,  # noqa: A002 - the call's own word
        soft: bool = False,
        within: float = LONG,
    ) -> int | None:
        """Forgets what exactly one of these names; how many responses, which only `match` counts. `match` and
        `group`, which look at all that is stored, may take `within` seconds.
        """
        targets = {"url": url, "rule": rule, "group": group, "tags": tags, "match": match, "all": all}
        wish: dict[str, Any] = {name: it for name, it in targets.items() if it is not None}
        if soft:
            wish["soft"] = True
        # What names no pattern is an increment or two.
        is_long = match is not None or group is not None
        return self._post("/v1/purge", wish, within if is_long else None).take_or_none("purged", int)

    def refresh(
        self,
        *,
        url: str | None = None,
        tags: Sequence[str] | None = None,
        cursor: str | None = None,
    ) -> Refreshed:
        """Fetches again now what the URL or the tags name; a `cursor` that is answered says that there is
        more.
        """
        asked = {"url": url, "tags": tags, "cursor": cursor}
        wish = {name: it for name, it in asked.items() if it is not None}
        said = self._post("/v1/refresh", wish, LONG)
        refreshed, failed, skipped = (said.take(name, int) for name in ("refreshed", "failed", "skipped"))
        return Refreshed(refreshed, failed, skipped, said.take_or_none("cursor", str))

    def stats(self) -> Mapping[str, Any]:
        """The sidecar in numbers."""
        return self._get("/v1/stats")

    def tags(self) -> Mapping[str, Any]:
        """Tags in numbers: those incremented most, and those that made most requests miss."""
        return self._get("/v1/tags")

    def tag(self, tag: str) -> TagState:
        """A tag as it is now; asking creates nothing (L14)."""
        said = self._get(f"/v1/tags/{quote(tag, safe='')}")
        return TagState(
            said.take("tag", str),
            said.take_or_none("version", int),
            said.take_or_none("app_version", int),
            said.take_or_none("incremented", dict),
        )

    def explain(
        self,
        url: str,
        method: str = "GET",
        headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
    ) -> Mapping[str, Any]:
        """What a request means now, and what is stored for it: `plan`, `answer`, `stored`, tags. Headers that
        come several times are pairs.
        """
        pairs = headers.items() if isinstance(headers, Mapping) else headers
        fields = [f"{name}: {value}" for name, value in pairs]
        return self._get("/v1/explain", {"method": method, "url": url, "header": fields})

    def audit(self, limit: int = 100, cursor: str | None = None) -> AuditPage:
        """A page of what was done, newest first."""
        query: dict[str, Any] = {"limit": limit}
        if cursor is not None:
            query["cursor"] = cursor
        said = self._get("/v1/audit", query)
        return AuditPage(tuple(said.take("audit", list)), said.take_or_none("cursor", str))

    def get_object(self, key: str) -> Object | Missing:
        """A value of the app's own; or, where there is none, what it may be stored with."""
        answer = self._wire.call("GET", _object(key), good=(200, 404))
        if answer.status == 404:
            return Missing(answer.headers.get("Tagalong-Token"))
        kind = answer.headers.get("Content-Type", "application/octet-stream")
        age = answer.headers.get("Age", "")
        entry = answer.headers.get("Tagalong-Key", "")
        return Object(answer.body, kind, int(age) if age.isdecimal() else 0, entry)

    def put_object(
        self,
        key: str,
        body: bytes,
        *,
        max_age: int,
        tags: Sequence[str] = (),
        token: str | None = None,
        content_type: str = "application/octet-stream",
    ) -> bool:
        """Stores a value for `max_age` seconds (a week at most). False: one of its tags was incremented since
        the token was given, or another value came first; nothing is stored (L1).
        """
        headers = {"Content-Type": content_type, "Tagalong-Cache-Control": f"max-age={max_age}"}
        if tags:
            headers["Cache-Tag"] = ", ".join(map(check_tagged, tags)).encode().decode("latin-1")
        if token is not None:
            headers["Tagalong-Token"] = token
        return self._wire.call("PUT", _object(key), body, headers, good=(201, 204, 409)).status != 409

    def delete_object(self, key: str) -> int | None:
        """Forgets a value; how many that were."""
        return _json(self._wire.call("DELETE", _object(key))).take_or_none("purged", int)

    def set_life(self, entry: str, seconds: int) -> bool:
        """Gives what is stored another life, from now on. False: it is not there any more."""
        path = f"/v1/entries/{quote(entry, safe='')}"
        body = json.dumps({"ttl": f"{seconds}s"}).encode()
        headers = {"Content-Type": "application/json"}
        return self._wire.call("PATCH", path, body, headers, good=(200, 404)).status == 200

    def close(self) -> None:
        """Closes the connection of this thread; the next call opens another."""
        self._wire.close()

    def _get(self, path: str, query: Mapping[str, Any] | None = None) -> "Said":
        tail = f"?{urlencode(query, doseq=True)}" if query else ""
        return _json(self._wire.call("GET", path + tail))

    def _post(self, path: str, wish: Mapping[str, Any], within: float | None = None) -> "Said":
        body = json.dumps(wish).encode()
        headers = {"Content-Type": "application/json"}
        return _json(self._wire.call("POST", path, body, headers, within=within))


def _object(key: str) -> str:
    return f"/v1/objects/{quote(key, safe='')}"


def _json(answer: Answer) -> Said:
    try:
        said = json.loads(answer.body)
    except ValueError:
        said = None
    if not isinstance(said, dict):
        raise SidecarError("what answered is no sidecar: a JSON object was expected", answer.status)
    return Said(said)


def _portions(tags: Iterable[str]) -> Iterable[list[str]]:
    """Each as many as one call takes."""
    some, size = list[str](), 0
    for tag in dict.fromkeys(tags):
        # As JSON writes it: up to six bytes for a character, and what stands around it.
        length = len(json.dumps(tag)) + 2
        if some and (len(some) == MAX_CALL_TAGS or size + length > MAX_CALL_BYTES):
            yield some
            some, size = [], 0
        some.append(tag)
        size += length
    if some:
        yield some
