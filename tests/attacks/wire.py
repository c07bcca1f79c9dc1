"""Raw bytes to a server, and what comes back: nothing is mended on the way."""

import dataclasses
import socket
import ssl

#: As long as nothing comes, in seconds; a server that waits for more is left then.
SILENCE = 4.0


@dataclasses.dataclass
class Answer:
    """A final response."""

    status: int
    fields: list
    body: bytes
    #: It ended as it said.
    whole: bool = True

    def field(self, name):
        return ", ".join(value for known, value in self.fields if known == name)


@dataclasses.dataclass
class Heard:
    """All that came over a connection."""

    answers: list
    #: The server has closed it.
    closed: bool
    raw: bytes


def send(port, pieces, silence=SILENCE):
    """Send pieces, the next one when the one before has been taken, and hear until the server closes or is silent.

    What cannot be sent any more is not: many a server answers and closes before it has read everything.
    """
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        connection.settimeout(silence)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return hear(connection, pieces)


def begin(port, raw):
    """Send, and leave what comes for later."""
    connection = socket.create_connection(("127.0.0.1", port), 5)
    connection.sendall(raw)
    return connection


def end(connection, silence=SILENCE):
    """Hear what came of that."""
    with connection:
        connection.settimeout(silence)
        return hear(connection)


def hear(connection, pieces=()):
    raw, closed = b"", False
    try:
        for piece in pieces:
            connection.sendall(piece)
    except OSError:
        closed = True
    try:
        while data := connection.recv(1 << 16):
            raw += data
        closed = True
    except (TimeoutError, socket.timeout, ssl.SSLError):
        pass
    except OSError:
        closed = True
    return Heard(parse(raw), closed, raw)


def parse(raw):
    """The final responses in these bytes, framed as RFC 9112 §6.3 has it; the interim ones are left out.

    Of what follows a HEAD nothing is known here: attacks use GET and POST.
    """
    answers = []
    while raw:
        head, found, raw = raw.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        words = lines[0].split(" ")
        if not found or not words[0].startswith("HTTP/") or len(words) < 2 or not words[1].isdigit():
            answers.append(Answer(0, [], head, False))
            break
        fields = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines[1:])]
        answer = Answer(int(words[1]), fields, b"")
        if answer.status < 200 and answer.status != 101:
            continue
        if answer.status in (101, 204, 304):
            answers.append(answer)
            continue
        if "chunked" in answer.field("transfer-encoding"):
            answer.body, raw, answer.whole = chunks(raw)
        elif not (length := answer.field("content-length")) or not length.isdigit():
            answer.body, raw, answer.whole = raw, b"", not length
        else:
            answer.body, raw = raw[: int(length)], raw[int(length) :]
            answer.whole = len(answer.body) == int(length)
        answers.append(answer)
    return answers


def chunks(raw):
    """A chunked body, what follows it, and whether its end came."""
    body = b""
    while raw:
        size, _, raw = raw.partition(b"\r\n")
        try:
            length = int(size.split(b";")[0], 16)
        except ValueError:
            return body, b"", False
        if length == 0:
            _, found, raw = (b"\r\n" + raw).partition(b"\r\n\r\n")
            return body, raw, bool(found)
        body, raw = body + raw[:length], raw[length + 2 :]
    return body, b"", False
