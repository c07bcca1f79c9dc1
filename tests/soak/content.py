"""What the app sends and what clients must get: bodies that differ by name, and in each of their blocks."""

import functools
import pathlib
import sys
import zlib

sys.path.append(str(pathlib.Path(__file__).resolve().parents[2] / "benches" / "fills"))

import bodies  # noqa: E402

PAGES = 300
#: Pages that never change, and are fresh for a second.
CONSTANTS = 40
CONSTANT_LENGTH = 3_000


def filler(name, length):
    """`length` bytes that only this name has."""
    return small(name, length) if length <= bodies.BLOCK else b"".join(bodies.blocks(name, length))


@functools.lru_cache(maxsize=1_000)
def small(name, length):
    return b"".join(bodies.blocks(name, length))


def page(number, version):
    """A page says its version; the rest of it does not change."""
    return b"page %d version %d\n" % (number, version) + filler(f"page-{number}", 500 + number * 37 % 8_000)


def constant(number):
    return filler(f"constant-{number}", CONSTANT_LENGTH)


def checksum(body):
    """What the app answers to an upload: its length and CRC-32."""
    return b"%d %08x\n" % (len(body), zlib.crc32(body))
