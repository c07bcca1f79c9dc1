"""What receivers note of an instance between its signals, and find again.

Not on the instance: it may be pickled, or copied, before the second signal comes. A save that fails sends no
second signal, and leaves its note; of one instance no more than a few are kept, the latest. Knows nothing of
what is noted.
"""

from collections import deque
from typing import Generic, TypeVar
from weakref import ref

from django.db.models import Model

T = TypeVar("T")

# How often receivers may save an instance again within its own save: nobody does it twice on purpose.
DEEPEST = 8


class Notes(Generic[T]):
    """Notes by instance, the latest first: a receiver may save it again between its signals."""

    def __init__(self) -> None:
        # By identity, as an instance without a key has no hash. Its end takes the notes away, before another
        # can have its place.
        self._kept: dict[int, tuple[ref[Model], deque[T]]] = {}

    def add(self, instance: Model, note: T) -> None:
        """Notes it until it is taken."""
        key = id(instance)
        if key not in self._kept:
            kept = self._kept
            self._kept[key] = ref(instance, lambda _: kept.pop(key, None)), deque(maxlen=DEEPEST)
        self._kept[key][1].append(note)

    def take(self, instance: Model) -> T | None:
        """The latest note that was not taken yet; None: there is none."""
        _, notes = self._kept.get(id(instance), (None, None))
        if not notes:
            return None
        note = notes.pop()
        if not notes:
            self._kept.pop(id(instance), None)
        return note

    def __len__(self) -> int:
        return sum(len(notes) for _, notes in list(self._kept.values()))
