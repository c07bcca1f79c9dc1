"""The app behind the servers that are attacked: it notes what reaches it, byte for byte as one reads RFC 9112, and answers as the path asks.

- `/raw/HEX…`: these bytes are the answer, and the connection ends. `/raw-large/N…`: one with a head of N bytes.
- `/endless…`: a body that goes on for as long as somebody takes it, and is not for any store.
- what it `says` to a target: that.
- `/mine…`: an account's page. It says whose it is (the cookie `who`), and nothing about storing.
- everything else: a page that may be stored for a minute, in which the app has written what attackers like to have written: the
  host, the scheme and the address as told by forwarding headers, its target, a parameter, the body. Like CGI it takes `_` in names
  for `-`. It answers conditions, ranges, and refuses what it is told to expect or upgrade to, and heads of more than 8 kB.
"""

import dataclasses
import pathlib
import socketserver
import sys
import threading

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "support"))

import small_server

#: What careless apps build links from.
REFLECTED = ["host", "cookie", "cache-tag", "surrogate-key", "tagalong-cache-control", "surrogate-control", "x-forwarded-host", "x-host", "x-forwarded-server", "forwarded", "x-forwarded-proto", "x-forwarded-scheme", "x-forwarded-port", "x-original-url", "x-rewrite-url", "x-http-method-override", "x-http-method", "x-method-override", "x-forwarded-prefix", "x-forwarded-ssl", "x-original-host", "front-end-https", "x-forwarded-for", "x-theme"]

BLOCK = b"x" * (64 << 10)


@dataclasses.dataclass
class Asked:
    """A request as it came."""

    line: str
    fields: list
    body: bytes

    @property
    def target(self):
        return self.line.split(" ")[1] if self.line.count(" ") >= 2 else self.line

    def field(self, name):
        """As one that folds `_` into `-` reads it."""
        return ", ".join(value for known, value in self.fields if known.replace("_", "-") == name)


class App(small_server.SmallServer):
    def __init__(self):
        self.seen, self.answers, self.lock = [], {}, threading.Lock()
        app = self

        class Handler(socketserver.StreamRequestHandler):
            timeout = 20
            disable_nagle_algorithm = True

            def handle(self):
                try:
                    while app.answer(self.rfile, self.wfile):
                        pass
                except (OSError, ValueError):
                    pass  # the server under attack has broken off

        super().__init__(Handler)

    def about(self, token):
        """What came that has the token in it, in order."""
        with self.lock:
            return [asked for asked in self.seen if token in asked.line or token.encode() in asked.body or any(token in value for _, value in asked.fields)]

    def says(self, target, *fields, body=b"ok", public=True):
        """What requests for this target are answered from now on: with these fields, to be stored for a minute, or with nothing of it."""
        lines = ["HTTP/1.1 200 OK", f"Content-Length: {len(body)}", *(["Cache-Control: public, max-age=60"] if public else []), *fields]
        with self.lock:
            self.answers[target] = "\r\n".join([*lines, "", ""]).encode("latin-1") + body

    def answer(self, reads, writes):
        """One request; whether the connection goes on."""
        if not (asked := read(reads)):
            return False
        with self.lock:
            self.seen.append(asked)
            said = self.answers.get(asked.target)
        target = asked.target
        kind, _, told = target.partition("?")[0].removeprefix("/").partition("/")
        if kind in ("raw", "raw-large"):
            large = f"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Long: {'x' * int(told)}\r\n\r\nok".encode() if kind == "raw-large" else None
            writes.write(large or bytes.fromhex(told))
            writes.flush()
            return False
        if said is not None:
            writes.write(said)
            writes.flush()
            return True
        if kind == "endless":
            writes.write(f"HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Length: {1 << 40}\r\n\r\n".encode())
            while True:
                writes.write(BLOCK)
        if refused := refuses(asked):
            writes.write(f"HTTP/1.1 {refused}\r\nCache-Control: public, max-age=60\r\nContent-Length: 0\r\n\r\n".encode())
            writes.flush()
            return True
        text, more = page(asked)
        body = b"" if asked.line.startswith("HEAD ") else text.encode()
        writes.write(f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(text.encode())}\r\n{more}\r\n".encode() + body)
        writes.flush()
        return True


def page(asked):
    """The text and further fields."""
    if "mine" in asked.target.replace("%6d", "m"):
        return f"account of {asked.field('cookie') or asked.field('authorization') or 'nobody'}", ""
    if asked.target.startswith("/large"):
        return "x" * (64 << 10), "Cache-Control: public, max-age=60\r\nAccept-Ranges: bytes\r\n"
    told = "".join(f"{name}: {asked.field(name)}\n" for name in REFLECTED if asked.field(name))
    return f"{asked.line}\n{told}{asked.body.decode('latin-1')}", "Cache-Control: public, max-age=60\r\n"


def refuses(asked):
    """The status of an app that takes part of what it is told for an error, and lets that be stored; else nothing."""
    if asked.field("if-none-match"):
        return "304 Not Modified"
    if asked.field("range") and not asked.target.startswith("/large"):
        return "416 Range Not Satisfiable"
    if asked.field("expect") not in ("", "100-continue"):
        return "417 Expectation Failed"
    if sum(len(value) for _, value in asked.fields) > 8_000:
        return "431 Request Header Fields Too Large"
    return "405 Method Not Allowed" if asked.line.startswith("EVIL ") else ""


def read(reads):
    """A request, or `None` at the end. Framing as in RFC 9112 §6.3; chunks need not be good."""
    while (line := reads.readline(1 << 17)) in (b"\r\n", b"\n"):
        pass
    if not line:
        return None
    fields = []
    while (field := reads.readline(1 << 17)) not in (b"\r\n", b"\n", b""):
        name, _, value = field.decode("latin-1").rstrip("\r\n").partition(":")
        fields.append((name.lower(), value.strip()))
    asked = Asked(line.decode("latin-1").rstrip("\r\n"), fields, b"")
    if "chunked" in asked.field("transfer-encoding").lower():
        while size := int(reads.readline(1 << 17).split(b";")[0] or b"0", 16):
            asked.body += reads.read(size)
            reads.readline(1 << 17)
        while reads.readline(1 << 17) not in (b"\r\n", b"\n", b""):
            pass
    elif length := asked.field("content-length"):
        asked.body = reads.read(int(length))
    return asked
