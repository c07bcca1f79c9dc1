"""One sidecar for a test: started with its own ports, token and files, and stopped by its process id."""

import os
import re
import secrets
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pytest_django import Settings

from django_tagalong import clients, debts, objects

SECONDS = 20.0
BACKEND = "django_tagalong.cache.TagalongCache"
NEEDS_A_SIDECAR = [
    pytest.mark.sidecar,
    pytest.mark.skipif(not os.environ.get("TAGALONG_BINARY"), reason="TAGALONG_BINARY names no sidecar"),
]


class Alone:
    """`tagalong serve` in front of `upstream`, with the text of a rule file."""

    def __init__(
        self, folder: Path, upstream: str = "http://127.0.0.1:9", rules: str = "rules: []\n", more: str = ""
    ) -> None:
        self.token = secrets.token_hex(16)
        rule_folder = folder / "rules"
        rule_folder.mkdir(parents=True)
        (rule_folder / "rules.yaml").write_text(rules)
        config = folder / "tagalong.yaml"
        config.write_text(
            'listen: ["127.0.0.1:0"]\n'
            'admin: { listen: "127.0.0.1:0", token_env: TAGALONG_ADMIN_TOKEN }\n'
            f'upstream: {{ url: "{upstream}" }}\n'
            "rules: rules\n" + more
        )
        self._log = folder / "sidecar.log"
        self.admin = self.url = ""
        self._start(config)

    def _start(self, config: Path) -> None:
        binary = os.environ["TAGALONG_BINARY"]
        environment = {**os.environ, "TAGALONG_ADMIN_TOKEN": self.token}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [binary, "serve", "--config", str(config)], env=environment, stdout=log, stderr=log
            )
        self._config = config
        self.url = "http://" + self._said(r"listening on (127\.0\.0\.1:\d+)")
        self.admin = self._said(r"admin interface on (http://127\.0\.0\.1:\d+)")

    def _said(self, pattern: str) -> str:
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            found = re.search(pattern, self._log.read_text(errors="replace"))
            if found:
                return found[1]
            if self._process.poll() is not None:
                break
            time.sleep(0.01)
        self.stop()
        raise AssertionError(f"the sidecar did not start:\n{self._log.read_text(errors='replace')}")

    @property
    def setting(self) -> dict[str, object]:
        """`TAGALONG` for an app beside it."""
        return {"ADMIN_URLS": self.admin, "TOKEN": self.token}

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Within this it takes connections, and answers nothing."""
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """Kills it, as a machine would that is lost."""
        self._process.kill()
        self._process.wait(SECONDS)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alone]:
    """A sidecar for all tests of a module."""
    sidecar = Alone(tmp_path_factory.mktemp("sidecar"))
    yield sidecar
    sidecar.stop()


@pytest.fixture
def beside(running: Alone, settings: Settings) -> None:
    """The app is beside it, with caches of several kinds, and nothing is stored."""
    settings.TAGALONG = running.setting
    settings.CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"},
        "fragmented": {"BACKEND": BACKEND, "KEY_PREFIX": "foo"},
        "foobar": {"BACKEND": BACKEND, "KEY_PREFIX": "foobar"},
        "pickle": {"BACKEND": BACKEND, "KEY_PREFIX": "foo", "OPTIONS": {"SERIALIZER": "pickle"}},
    }
    objects._paused.clear()
    debts._owed.clear()
    objects._forget_tokens()
    clients.each()[0].purge(all=True)
