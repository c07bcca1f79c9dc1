"""A sidecar for the attacks on more than the path of a request: with rules, an admin interface, a log that is read, and nobody else."""

import contextlib
import json
import os
import pathlib
import tempfile

import contestants
import wire

#: Who may call the admin interface, and who may see more than others.
TOKEN, DEBUG = "sesame-of-the-operators", "sesame-of-the-developers"


@contextlib.contextmanager
def own(program, behind, settings=None, rules=None, tokens=True, log="json"):
    """With `doors["admin"]`, where an operator needs the token unless there are none; and a `log`."""
    with tempfile.TemporaryDirectory(prefix="attacks-") as folder:
        folder = pathlib.Path(folder)
        (folder / "token").write_text(TOKEN)
        (folder / "debug").write_text(DEBUG)
        admin = {"listen": f"127.0.0.1:{contestants.free_port()}"}
        if tokens:
            admin["token_file"] = str(folder / "token")
        more = {"admin": admin, "log": {"format": log, "access": True}, "headers": {"debug": {"secret_file": str(folder / "debug")}}}
        with contestants.tagalong(program, behind, {**more, **(settings or {})}, rules, log=folder / "log") as server:
            server.doors["admin"] = int(admin["listen"].rpartition(":")[2])
            yield server


def call(server, method, path, *fields, body="", host="localhost", token=TOKEN):
    """Call the admin interface; what it answers."""
    named = [f"Host: {host}"] if host is not None else []
    named += [f"Authorization: Bearer {token}"] if token is not None else []
    if body:
        named += [f"Content-Length: {len(body.encode())}"]
    text = "\r\n".join([f"{method} {path} HTTP/1.1", *named, "Connection: close", *fields, "", body])
    answers = wire.send(server.doors["admin"], [text.encode("latin-1")]).answers
    return answers[0] if answers else wire.Answer(0, [], b"", False)


def told(server, path):
    """What a call tells, as JSON."""
    answer = call(server, "GET", path)
    return json.loads(answer.body) if answer.status == 200 else None


def processor(server):
    """Seconds that the process has taken of processors."""
    words = pathlib.Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


class Memory:
    """The most that a process had resident in a block, beyond what it had before, in MiB."""

    def __init__(self, server):
        self.process = pathlib.Path(f"/proc/{server.pid}")

    def __enter__(self):
        (self.process / "clear_refs").write_text("5")  # the peak begins anew
        self.before = self.resident("VmRSS")
        return self

    def __exit__(self, *_):
        self.more = self.resident("VmHWM") - self.before

    def resident(self, name):
        lines = (self.process / "status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith(name)).split()[1]) >> 10
