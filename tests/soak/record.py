"""Which versions of pages were written, and what a reader may see of them: docs/sharing.md, "What is promised".

A write is *acknowledged* when its answer does not say `increment-deferred`: who begins to read after that gets its version or a
newer one, through the same life of the same sidecar at once, through another one when `max_lag` is over. A *deferred* one counts at
once where it was written; elsewhere once the outbox of that sidecar was seen to be empty. A write that failed asks for nothing.
"""

import bisect
import collections
import time

#: Seconds, of the configuration.
MAX_LAG = 1.0
#: For the pauses of this process and of a shared machine.
SLACK = 0.25


class Newest:
    """The newest version by time."""

    def __init__(self):
        self.times, self.versions = [], []

    def add(self, at, version):
        if not self.versions or version > self.versions[-1]:
            self.times.append(at)
            self.versions.append(version)

    def before(self, at):
        found = bisect.bisect_right(self.times, at)
        return self.versions[found - 1] if found else 0


class Record:
    def __init__(self):
        self.acknowledged = collections.defaultdict(Newest)
        #: By page and life.
        self.here = collections.defaultdict(Newest)
        #: By life: when, page and version.
        self.deferred = collections.defaultdict(list)

    def wrote(self, number, version, life, is_deferred):
        now = time.monotonic()
        self.here[number, life].add(now, version)
        if is_deferred:
            self.deferred[life].append((now, number, version))
        else:
            self.acknowledged[number].add(now, version)

    def outbox_was_empty(self, life, asked):
        """What was deferred before somebody asked, and saw that nothing waits, is committed."""
        now = time.monotonic()
        waiting = self.deferred.pop(life, [])
        for deferral in waiting:
            at, number, version = deferral
            if at < asked:
                self.acknowledged[number].add(now, version)
            else:
                self.deferred[life].append(deferral)

    def least(self, number, life, began):
        """The oldest version that a reader may see who began then."""
        everywhere = self.acknowledged[number].before(began - MAX_LAG - SLACK)
        here = self.here.get((number, life))
        return max(everywhere, here.before(began) if here else 0)
