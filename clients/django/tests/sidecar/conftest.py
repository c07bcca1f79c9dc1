"""The app under gunicorn and uvicorn, each behind a sidecar; skipped where there is none to run."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from django_tagalong import Client

from .alone import Alone
from .served import GUNICORN, UVICORN, Response, Served, ask, make_databases

RULES = """
rules:
  - { id: values, match: { path: /value }, tags: ["Value:{query.value}"] }
  - { id: values-in-path, match: { path: '/value/(?P<value>.+)' }, tags: ["Value:{value}"] }
  - { id: pairs, match: { path: /pair }, tags: ["Pair:{query.value}:{query.second}"] }
  - { id: shelves, match: { path: /shelves }, dimensions: { attrs: { shelf: "{query.shelf}" } } }
"""


@dataclass(frozen=True)
class Stack:
    """An app with a sidecar in front of it."""

    app: Served
    sidecar: Alone
    client: Client
    prefix: str
    """What the paths of its views begin with: `a` for coroutines."""

    def get(self, path: str) -> Response:
        """Through the sidecar."""
        return ask(self.sidecar.url + path)

    def post(self, path: str, body: str = "") -> Response:
        """Through the sidecar."""
        return ask(self.sidecar.url + path, "POST", body)

    def write(self, way: str, pk: int, name: str) -> Response:
        """One of the ways to write, through the sidecar."""
        return self.post(f"/{self.prefix}write/{way}/{pk}", name)

    def keep(self, path: str) -> str:
        """Has the sidecar store a page; what is on it."""
        page = self.get(path)
        again = self.get(path)
        assert (page.outcome, again.outcome) == ("fwd=uri-miss; stored", "hit")
        assert (again.status, again.text) == (200, page.text)
        return page.text


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests here need the sidecar."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.sidecar)
            if not os.environ.get("TAGALONG_BINARY"):
                item.add_marker(pytest.mark.skip(reason="TAGALONG_BINARY names no sidecar"))


@pytest.fixture(scope="session")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with empty databases."""
    folder = tmp_path_factory.mktemp("databases")
    make_databases(folder)
    return folder


class Stacks:
    """Starts apps with their sidecars, and stops them."""

    def __init__(self, databases: Path, folder: Path) -> None:
        self._databases, self._folder, self._count = databases, folder, 0
        self._stops = ExitStack()

    def start(self, server: list[str], setting: dict[str, object] | None = None, **environment: str) -> Stack:
        """`setting` is what `TAGALONG` has besides where the sidecar is."""
        self._count += 1
        folder = self._folder / str(self._count)
        shutil.copytree(self._databases, folder)
        app = Served(folder, server, **environment)
        self._stops.callback(app.stop)
        sidecar = Alone(folder / "sidecar", app.url, RULES)
        self._stops.callback(sidecar.stop)
        app.environment["TESTS_TAGALONG"] = json.dumps({**sidecar.setting, **(setting or {})})
        app.start()
        client = Client(sidecar.admin, sidecar.token)
        self._stops.callback(client.close)
        return Stack(app, sidecar, client, "a" if server is UVICORN else "")

    def stop(self) -> None:
        """All of them, the last first: an app that still has connections to its sidecar takes its time."""
        self._stops.close()


@pytest.fixture(scope="session")
def _session_stacks(databases: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stacks]:
    stacks = Stacks(databases, tmp_path_factory.mktemp("stacks"))
    yield stacks
    stacks.stop()


@pytest.fixture
def stacks(databases: Path, tmp_path: Path) -> Iterator[Stacks]:
    """For a test that needs an app of its own."""
    stacks = Stacks(databases, tmp_path)
    yield stacks
    stacks.stop()


@pytest.fixture(scope="session")
def gunicorn(_session_stacks: Stacks) -> Stack:
    """One for all tests: each takes objects of its own."""
    return _session_stacks.start(GUNICORN)


@pytest.fixture(scope="session")
def uvicorn(_session_stacks: Stacks) -> Stack:
    """One for all tests: each takes objects of its own."""
    return _session_stacks.start(UVICORN)


@pytest.fixture(params=["gunicorn", "uvicorn"])
def stack(request: pytest.FixtureRequest) -> Stack:
    """The app under both servers."""
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Stack)
    return found
