"""The clients of the admin interfaces that the setting names: one place that makes them, and keeps them with
their connections for as long as the process lives.

Where `ENABLED` is off there are none. Decides nothing about what they are asked.
"""

from threading import Lock

from . import conf
from .client import Client

_kept: dict[tuple[conf.Settings, float, int], dict[str, Client]] = {}
_lock = Lock()


def each() -> list[Client]:
    """One for each admin interface, as patient as the setting says; empty: there is none."""
    setting = conf.get()
    return _of(setting, setting.timeout, setting.retries)


def first(patience: float) -> Client | None:
    """The first of them, for what is worth less than waiting: one try, of `patience` seconds at most."""
    setting = conf.get()
    return next(iter(_of(setting, min(setting.timeout, patience), 0)), None)


def close() -> None:
    """Forgets all of them; their connections of this thread are closed."""
    with _lock:
        known = [client for of_setting in _kept.values() for client in of_setting.values()]
        _kept.clear()
    for client in known:
        client.close()


def _of(setting: conf.Settings, timeout: float, retries: int) -> list[Client]:
    if not setting.enabled:
        return []
    # The setting is the key, as its repr does not show the token.
    with _lock:
        known = _kept.setdefault((setting, timeout, retries), {})
        for url in setting.admin_urls:
            if url not in known:
                known[url] = Client(url, setting.token, timeout, retries)
        return [known[url] for url in setting.admin_urls]
