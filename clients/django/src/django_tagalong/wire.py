"""HTTP to one admin interface: a connection for each thread and process, bounded time, tries again.

Decides what is tried again: a connection that fails, and 503. After everything has failed a call is tried
once only for a while, so that a sidecar that is away costs an app little. Knows no call; shows the token
nowhere: not in what it raises, nor in the variables that a report of an error shows of each frame.
"""

import http.client
import json
import os
import random
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from email.message import Message
from urllib.parse import urlsplit

from .conf import is_token

# Seconds before the first further try; each after it waits twice as long.
BACKOFF = 0.05
# For how many seconds after a failure calls are tried once.
CAUTION = 5.0


class SidecarError(Exception):
    """A call was not done: the sidecar is away (`status` None), or it refuses. Which one it was stands in no
    text: who has called knows.
    """

    def __init__(self, says: str, status: int | None = None) -> None:
        super().__init__(says)
        self.status = status


@dataclass(frozen=True, slots=True)
class Answer:
    """What the sidecar said."""

    status: int
    headers: Message
    body: bytes


class _Held:
    """A connection, of the process that opened it; closed when its thread ends."""

    def __init__(self, pid: int, connection: http.client.HTTPConnection) -> None:
        self.pid, self.connection = pid, connection

    def __del__(self) -> None:
        self.connection.close()


class Wire:
    """One admin interface."""

    def __init__(self, url: str, token: str | None, timeout: float, retries: int) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("the URL of an admin interface is expected, such as http://127.0.0.1:9080")
        if token is not None and not is_token(token):
            raise ValueError("a token is printable ASCII without spaces (it is not shown here)")
        self.url = url.rstrip("/")
        self._host, self._port = parts.hostname, parts.port
        self._prefix = parts.path.rstrip("/")
        self._kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._token, self._timeout, self._tries = token, timeout, retries + 1
        self._mine = threading.local()
        self._careful_until = 0.0

    @property
    def is_away(self) -> bool:
        """Whether nothing came of the last call, a moment ago."""
        return time.monotonic() < self._careful_until

    def call(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        good: tuple[int, ...] = (200,),
        within: float | None = None,
    ) -> Answer:
        """Calls, and again where nothing came of it; once, and `within` so many seconds, where the sidecar
        has much to do. Raises `SidecarError` for a status that is not good.
        """
        tries = 1 if self.is_away or within is not None else self._tries
        for n in range(tries):
            if n:
                time.sleep(BACKOFF * 2 ** (n - 1) * random.uniform(0.5, 1))  # noqa: S311 - no secret
            try:
                answer = self._once(method, self._prefix + path, body, headers or {}, within or self._timeout)
            except (OSError, http.client.HTTPException) as error:
                failure = SidecarError(f"cannot be reached: {_why(error)}")
                continue
            if answer.status == 503 and 503 not in good:
                failure = _refusal(answer)
                continue
            self._careful_until = 0.0
            if answer.status not in good:
                raise _refusal(answer)
            return answer
        self._careful_until = time.monotonic() + CAUTION
        raise failure

    def close(self) -> None:
        """Closes the connection of this thread."""
        held = getattr(self._mine, "held", None)
        self._mine.held = None
        if held is not None:
            held.connection.close()

    def _once(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str], timeout: float
    ) -> Answer:
        try:
            connection, is_used = self._connection(timeout)
            try:
                return self._exchange(connection, method, path, body, headers)
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                if not is_used:
                    raise
            # It was closed while nobody used it, which says nothing of the sidecar.
            self.close()
            connection, _ = self._connection(timeout)
            return self._exchange(connection, method, path, body, headers)
        except BaseException:
            self.close()
            raise

    def _connection(self, timeout: float) -> tuple[http.client.HTTPConnection, bool]:
        """The connection of this thread and process, and whether it has been used: one from before a fork is
        the parent's.
        """
        pid, held = os.getpid(), getattr(self._mine, "held", None)
        if held is not None and held.pid == pid and held.connection.sock is not None:
            held.connection.sock.settimeout(timeout)
            return held.connection, True
        connection = self._kind(self._host, self._port, timeout=self._timeout)
        self._mine.held = _Held(pid, connection)
        connection.connect()
        connection.sock.settimeout(timeout)
        return connection, False

    def _exchange(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        body: bytes | None,
        headers: Mapping[str, str],
    ) -> Answer:
        # What is refused before all of it was sent, such as a body that is too long, may have an answer all
        # the same.
        with suppress(BrokenPipeError, ConnectionResetError):
            self._send(connection, method, path, body, headers)
        response = connection.getresponse()
        # All of it: with a length to read, a body that was cut short would pass for whole.
        return Answer(response.status, response.headers, response.read())

    def _send(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        body: bytes | None,
        headers: Mapping[str, str],
    ) -> None:
        try:
            connection.request(method, path, body, {**headers, **self._authorization()})
        except BaseException as error:  # noqa: BLE001 - it is raised again
            # Without the frames of the library: their variables have the token.
            raise error.with_traceback(None) from None

    def _authorization(self) -> dict[str, str]:
        return {} if self._token is None else {"Authorization": f"Bearer {self._token}"}


def _why(error: Exception) -> str:
    return str(error) or type(error).__name__


def _refusal(answer: Answer) -> SidecarError:
    try:
        said = json.loads(answer.body)
        detail = f"{said['title']}: {said['detail']}"
    except (ValueError, KeyError, TypeError):
        detail = "nothing is said of why"
    return SidecarError(f"{answer.status} {detail}", answer.status)
