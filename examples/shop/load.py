#!/usr/bin/env python3
"""Reads and edits the shop at once, and checks that no page is older than an edit acknowledged before.

    python examples/shop/load.py --tagalong target/release/tagalong --write

Of all requests a tenth (`--edits`) are edits by visitors and staff. Rounds alternate between shops of their
own: `without` (gunicorn alone, django-tagalong off), and one for each consistency (two sidecars that share a
Redis in front of the same gunicorn). Each visitor waits for an answer before the next request, and takes
either of them by chance. Some edits are made by a process without a request (`manage.py edits`).

Ends with 1 if a page was too old, showed nothing of what it is about or somebody else's orders, if anything
failed, or if the store never served something that had been edited, of every kind that is counted: nothing
would be shown then. With `--deaf` the sidecars hear of no edit; it then ends with 1 unless pages that are
too old were found, of every kind. Needs the packages of requirements.txt, and redis-server. Takes
about `--seconds` times `--rounds` for each kind, and 20 s.
"""

import argparse
import asyncio
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack
from itertools import product
from pathlib import Path

from loading import report
from loading.floors import KINDS
from loading.mix import Mix
from loading.rounds import Round, run
from loading.servers import Stack, copy_database, make_database
from loading.visitors import Shop, open_shop

WITHOUT = "without"
# The share of a round; it counts for freshness, and not for speed.
WARM_UP = 0.25


def arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tagalong", required=True, help="the sidecar")
    parser.add_argument(
        "--consistency", default="strict", help="strict, bounded, or both by a comma (strict)"
    )
    parser.add_argument("--seconds", type=float, default=12, help="of each round (12)")
    parser.add_argument("--requests", type=int, default=0, help="in each round at least, however long (0)")
    parser.add_argument("--rounds", type=int, default=3, help="of each kind (3)")
    parser.add_argument("--visitors", type=int, default=16, help="who ask at the same time (16)")
    parser.add_argument("--products", type=int, default=200, help="in the catalogue (200)")
    parser.add_argument("--edits", default="0.1", help="shares of edits among requests, by commas (0.1)")
    parser.add_argument("--chance", type=int, default=1, help="another number draws other requests (1)")
    parser.add_argument("--deaf", action="store_true", help="sidecars that ignore increments: is that seen?")
    parser.add_argument("--write", action="store_true", help="into benches/results/shop.md")
    said = parser.parse_args()
    said.kinds = said.consistency.split(",")
    if not set(said.kinds) <= {"strict", "bounded"}:
        parser.error("--consistency is strict, bounded, or both by a comma")
    for program in (said.tagalong, "redis-server"):
        if shutil.which(program) is None:
            parser.error(f"{program} is no program here")
    said.shares = [float(it) for it in said.edits.split(",")]
    return said


async def measure(said: argparse.Namespace, stacks: dict[str, Stack]) -> list[Round]:
    """All rounds."""
    rounds: list[Round] = []
    async with AsyncExitStack() as ends:
        shops: dict[str, Shop] = {}
        for name, stack in stacks.items():
            mix = Mix(stack.folder / "shop.sqlite3", said.chance)
            shops[name] = await ends.enter_async_context(open_shop(name, stack, mix, said.visitors))
        for edits, number in product(said.shares, range(said.rounds + 1)):
            part = 1 if number else WARM_UP
            for shop in shops.values():
                rounds.append(await run(shop, number, said.seconds * part, said.requests * part, edits))
                print(report.line(rounds[-1]), flush=True)
    return rounds


def faults(rounds: list[Round], kinds: list[str], is_deaf: bool) -> Iterator[str]:
    """What was not as it must be, in words."""
    if any(it.failed for it in rounds):
        yield "something failed"
    if not is_deaf and any(it.too_old for it in rounds):
        yield "pages were too old"
    for name in kinds:
        ours = [it for it in rounds if it.name == name]
        for kind in KINDS:
            if not any(it.old[kind] if is_deaf else it.held[kind] for it in ours):
                found = "too old was found" if is_deaf else "edited before came from the store"
                yield f"{name}: no {kind} that was {found}"


def main() -> int:
    """Starts everything, measures, tells, ends everything."""
    said = arguments()
    # Not at once: what was started is ended first.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="shop-") as folder, ExitStack() as ends:
        seeded = Path(folder, "seeded")
        make_database(seeded, said.products)
        stacks = {}
        for name in said.kinds if said.deaf else [WITHOUT, *said.kinds]:
            stack = Stack(
                Path(folder, name),
                str(Path(said.tagalong).resolve()),
                None if name == WITHOUT else name,
                said.deaf,
            )
            copy_database(seeded, stack.folder)
            stacks[name] = ends.enter_context(stack)
        rounds = asyncio.run(measure(said, stacks))
    page = report.markdown(rounds, said, before)
    print("\n" + page)
    if said.write:
        report.PAGE.write_text(page)
    wrong = list(faults(rounds, said.kinds, said.deaf))
    for fault in wrong:
        print(f"load.py: {fault}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
