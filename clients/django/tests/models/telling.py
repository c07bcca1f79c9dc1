"""What is told outside of requests, call by call, in place of sidecars."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from django_tagalong.collector import Change, Increment


@dataclass
class Told:
    """Takes the place of `tell.tell`: what it is called with, and what it answers."""

    calls: list[tuple[list[str], list[Change]]] = field(default_factory=list)
    answer: bool = True

    def __call__(self, increments: Iterable[Increment], changes: Iterable[Change] = ()) -> bool:
        self.calls.append(([it.tag for it in increments], list(changes)))
        return self.answer

    @property
    def tags(self) -> set[str]:
        """All tags since the last `clear`."""
        return {tag for tags, _ in self.calls for tag in tags}

    @property
    def changes(self) -> list[Change]:
        """All changes since the last `clear`, as they came."""
        return [change for _, changes in self.calls for change in changes]

    def clear(self) -> None:
        """Forgets what was told."""
        self.calls.clear()
