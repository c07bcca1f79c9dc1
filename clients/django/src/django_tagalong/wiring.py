"""Keeps receivers of signals connected to the classes that are to be heard, and to no others.

A receiver without a sender would do, and would cost every app its fast deletes: Django fetches the rows
that it deletes as soon as anybody listens. Classes that are made later (a proxy in another app) are
connected when they are. What is heard is not known here.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from django.apps import apps
from django.db.models import Model
from django.db.models.signals import ModelSignal, class_prepared

from .rows import Writers

Receiver = Callable[..., None]


class Wiring:
    """Receivers by their signals, and which classes they hear."""

    def __init__(self, name: str, receivers: Mapping[ModelSignal, Receiver]) -> None:
        self._name = f"django_tagalong.{name}"
        self._receivers = receivers
        self._heard = Writers(())
        self._connected: set[type[Model]] = set()
        class_prepared.connect(self._prepared, weak=False, dispatch_uid=self._name)

    def sync(self, heard: Writers, *others: type[Model]) -> None:
        """Hears these classes, those too that are made later. `others` are such that Django may not know."""
        self._heard = heard
        wanted = {model for model in {*models(), *others, *self._connected} if heard.include(model)}
        for model in self._connected - wanted:
            for signal in self._receivers:
                signal.disconnect(sender=model, dispatch_uid=self._name)
        for model in wanted - self._connected:
            self._connect(model)
        self._connected = wanted

    def _connect(self, model: type[Model]) -> None:
        for signal, receiver in self._receivers.items():
            # Not weakly: nobody else holds them. By name: whoever connects twice hears once.
            signal.connect(receiver, sender=model, weak=False, dispatch_uid=self._name)

    def _prepared(self, sender: type[Model], **_: Any) -> None:
        if self._heard.include(sender):
            self._connect(sender)
            self._connected.add(sender)


def models() -> Iterator[type[Model]]:
    """All that there are so far."""
    # Before the apps are ready too, which `apps.getmodels()` refuses.
    for several in list(apps.all_models.values()):
        yield from list(several.values())
