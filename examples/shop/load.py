#!/usr/bin/env python3
"""Reads and edits the shop at once, and checks that no page is older than an edit acknowledged before.

    examples/shop/load.py --tagalong target/release/tagalong --write

Of all requests a tenth (`--edits`) are edits by visitors and staff. Rounds alternate between shops of their
own: `without` (gunicorn alone, django-tagalong off), and one for each consistency (two sidecars that share a
Redis in front of the same gunicorn). Each visitor waits for an answer before the next request, and takes
either of them by chance. Some edits are made by a process without a request (`manage.py edits`).

Ends with 1 if a page was too old, showed nothing of what it is about or somebody else's orders, if anything
failed, or if nothing was ever served from the store; `--deaf` has the sidecars ignore all increments, which
must be seen (it then ends with 0 if it was). Needs the packages of requirements.txt, and redis-server. Takes
about `--seconds` times `--rounds` for each kind, and 20 s.
"""

import argparse
import asyncio
import os
import sys
import tempfile
from contextlib import AsyncExitStack, ExitStack
from itertools import product
from pathlib import Path

from loading import report
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
    said.shares = [float(it) for it in said.edits.split(",")]
    return said


async def measure(said: argparse.Namespace, stacks: dict[str, Stack]) -> list[Round]:
    """All rounds."""
    rounds: list[Round] = []
    async with AsyncExitStack() as ends:
        shops: dict[str, Shop] = {}
        for number, (name, stack) in enumerate(stacks.items()):
            mix = Mix(stack.folder / "shop.sqlite3", said.chance + number)
            shops[name] = await ends.enter_async_context(open_shop(name, stack, mix, said.visitors))
        for edits, number in product(said.shares, range(said.rounds + 1)):
            seconds = said.seconds if number else said.seconds * WARM_UP
            for shop in shops.values():
                rounds.append(await run(shop, number, seconds, edits))
                print(report.line(rounds[-1]), flush=True)
    return rounds


def main() -> int:
    """Starts everything, measures, tells, ends everything."""
    said = arguments()
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
    if said.deaf:
        return 0 if any(it.too_old for it in rounds) else 1
    has_hits = all(any(it.hits.total() for it in rounds if it.name == name) for name in said.kinds)
    return 0 if has_hits and not any(it.wrong for it in rounds) else 1


if __name__ == "__main__":
    sys.exit(main())
