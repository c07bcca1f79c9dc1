"""What every workload is given, and what it gives back: figures, and goals for them."""

import dataclasses
import os
import pathlib

import contestants

HERE = pathlib.Path(__file__).resolve().parent
REFERENCE, NGINX, VARNISH, TAGALONG = "hyper reference", "nginx proxy_cache", "Varnish", "Tagalong"
#: Room for all that is stored here; the defaults of all three are less.
ROOM = {"store": {"memory": {"max_bytes": "4GiB"}}}


@dataclasses.dataclass
class Bench:
    """The programs, and how long to measure."""

    program: str
    #: Our own small servers (`reference`).
    small: str
    certificate: contestants.Certificate
    rounds: int
    seconds: int
    #: How many entries at most.
    most: int
    #: The workloads that are wanted.
    only: list

    def origin(self):
        return contestants.origin(self.small)

    def reference(self, app=None):
        return contestants.reference(self.small, app)

    def nginx(self, app, more=""):
        return contestants.nginx(HERE / "nginx" / "nginx.conf", app, more, self.certificate)

    def varnish(self, app):
        return contestants.varnish(HERE / "varnish" / "tags.vcl", app, "4g")

    def tagalong(self, app, settings=None, rules=None, name=TAGALONG):
        return contestants.tagalong(self.program, app, {**ROOM, **(settings or {})}, rules, self.certificate, name)


@dataclasses.dataclass
class Figure:
    """What one run showed."""

    #: The row of the table.
    row: str
    server: str
    number: int
    value: float
    #: µs (server CPU per request), ms, bytes, MiB, or what is counted.
    unit: str
    #: Requests answered per second.
    rate: float = None
    #: Load average of the last minute.
    load: float = dataclasses.field(default_factory=lambda: os.getloadavg()[0])


@dataclasses.dataclass
class Goal:
    """Something to hold by the median: at most so much, or so much of another server's figure or of another row's."""

    row: str
    most: float
    than: str = None
    base: str = None
    server: str = TAGALONG
