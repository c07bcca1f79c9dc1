"""What the app sends and what clients must get: bodies that differ by name, and in each of their blocks."""

import random
import zlib

BLOCK = 64 << 10


def blocks(name, length):
    """The body, block by block; each begins with its number, so that none can be lost, doubled or moved unseen."""
    base = random.Random(name).randbytes(min(BLOCK, length))
    for start in range(0, length, BLOCK):
        yield (start.to_bytes(8, "big") + base[8:])[: length - start]


def crc(name, length):
    """CRC-32 of the body."""
    value = 0
    for block in blocks(name, length):
        value = zlib.crc32(block, value)
    return value
