"""Header fields of a response that have several lines, and what is added to a response and taken back.

Django's responses have one value for each name; both of its handlers write what `items` gives. A view may
hand out one response object for many requests: what was added for one is taken back before the next (L15).
Decides nothing about what is added.
"""

from typing import Any

from django.http.response import BadHeaderError, HttpResponseBase, ResponseHeaders

# On a response: what its fields were before something was added, and afterwards.
_ADDED = "_tagalong_added"


class RepeatedHeaders(ResponseHeaders):
    """Header fields of which some have several lines. Whoever sets or deletes such a field does so with all
    of its lines.
    """

    def __init__(self, fields: ResponseHeaders) -> None:
        self._more: dict[str, list[str]] = {}
        super().__init__(dict(fields.items()))

    def __setitem__(self, name: str, value: str | bytes | int) -> None:
        self._more.pop(name.lower(), None)
        super().__setitem__(name, value)

    def pop(self, name: str, default: Any = None) -> Any:
        self._more.pop(name.lower(), None)
        return super().pop(name, default)

    def set_lines(self, name: str, lines: list[bytes]) -> None:
        """All lines of a field, in place of those that it had."""
        if any(b"\n" in line or b"\r" in line for line in lines):
            raise BadHeaderError(f"a line of {name} has a line break")
        self[name] = lines[0]
        self._more[name.lower()] = [line.decode("latin-1") for line in lines[1:]]

    def lines(self, name: str) -> list[str]:
        """The lines of a field that is there."""
        return [self[name], *self._more.get(name.lower(), ())]

    def items(self) -> Any:
        """What goes on the wire: both of Django's handlers write what is here."""
        return [(name, line) for name in self for line in self.lines(name)]


def add(response: HttpResponseBase, name: str, lines: list[bytes], instead: bool = False) -> None:
    """Adds lines to a field; `instead`: in place of those that it has."""
    before = lines_of(response, name)
    _put(response, name, lines if instead else [it.encode("latin-1") for it in before] + lines)
    response.__dict__.setdefault(_ADDED, []).append((name, before, lines_of(response, name)))


def take_back(response: HttpResponseBase) -> None:
    """Makes the fields what they were before anything was added. What was set since then stays."""
    for name, before, after in reversed(response.__dict__.pop(_ADDED, ())):
        if lines_of(response, name) == after:
            _put(response, name, [it.encode("latin-1") for it in before])


def lines_of(response: HttpResponseBase, name: str) -> list[str]:
    """The lines of a field; none: it is not there."""
    fields = response.headers
    if name not in fields:
        return []
    return fields.lines(name) if isinstance(fields, RepeatedHeaders) else [fields[name]]


def _put(response: HttpResponseBase, name: str, lines: list[bytes]) -> None:
    if not lines:
        del response.headers[name]
    elif len(lines) == 1:
        response.headers[name] = lines[0]
    else:
        if not isinstance(response.headers, RepeatedHeaders):
            response.headers = RepeatedHeaders(response.headers)
        response.headers.set_lines(name, lines)
