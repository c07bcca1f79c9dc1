"""What was asked and how it was answered, what was done to whom, and what was wrong."""

import collections
import sys
import time

#: So many are told; all are counted.
MOST_TOLD = 100


class Tally:
    def __init__(self):
        self.begun = time.monotonic()
        self.answers = collections.defaultdict(collections.Counter)
        self.faults = collections.Counter()
        self.skipped = collections.Counter()
        self.wrongs, self.wrong_count = [], 0

    def count(self, kind, answer):
        self.answers[kind][answer] += 1

    def wrong(self, kind, text):
        self.wrong_count += 1
        told = f"{time.monotonic() - self.begun:.1f} s, {kind}: {text}"
        if len(self.wrongs) < MOST_TOLD:
            self.wrongs.append(told)
            print(f"WRONG {told}", file=sys.stderr)

    def requests(self):
        return sum(sum(answers.values()) for answers in self.answers.values())
