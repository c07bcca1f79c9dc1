"""Bodies from which a rule reads tags (`tags_from_body`), and that are much more than they look: a GiB in some kB, or what a parser chokes on.

The app has made them, or somebody whose upload it passes on. The client gets them as they came; what is read of them has an end.
"""

import struct
import zlib

import sidecar
import wire
from attack import Attack, encoded, lines, others

RULES = [{"id": "items", "match": {"path": "/items"}, "tags_from_body": [{"json": "/items/*/id", "tag": "Item:{value}", "max": 200}]}]
GIB, MIB = 1 << 30, 1 << 20
#: MiB that bombs may take, however many there are: what two of them decode at a time, and what an allocator keeps of it.
ROOM = 256


def own(program, behind):
    return sidecar.own(program, behind, rules=RULES)


def gzip(zeros):
    """A member for each MiB (RFC 1952 §2.2)."""
    return zlib.compress(bytes(MIB), 9, 31) * (zeros // MIB)


def deflate(zeros):
    """Blocks that know nothing of each other, and the sum of all (RFC 1950 §9)."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(bytes(MIB)) + packer.flush(zlib.Z_FULL_FLUSH)
    return b"\x78\xda" + block * (zeros // MIB) + packer.flush() + struct.pack(">I", zeros % 65_521 << 16 | 1)


def zstd(zeros):
    """Blocks of a byte that is repeated (RFC 8878 §3.1.1.2), in a frame with a window of 8 MiB."""
    most = 128 << 10
    blocks = zeros // most
    return b"\x28\xb5\x2f\xfd\x00" + bytes([13 << 3]) + b"".join(struct.pack("<I", most << 3 | 1 << 1 | (number == blocks - 1))[:3] + b"\0" for number in range(blocks))


def brotli(zeros):
    """Parts of 16 MiB, each one zero and a copy of it (RFC 7932 §9.2), whose codes have a symbol each and so no bits."""
    part = 1 << 24
    bits, size = 0, 0

    def put(value, width):
        nonlocal bits, size
        bits, size = bits | value << size, size + width

    put(0, 1)  # a window of 64 KiB
    for _ in range(zeros // part):
        put(0, 1)  # not the last part
        put(2, 2)  # its length has six nibbles
        put(part - 1, 24)
        put(0, 1)  # compressed
        put(0, 3)  # one kind of block, of literals, commands and distances each
        put(0, 6)  # distances without postfix, none direct
        put(0, 2)  # how literals look at what is before them
        put(0, 2)  # one code for literals, one for distances
        put(1, 4)  # a simple code of one symbol,
        put(0, 8)  # zero;
        put(1, 4)
        put(384 + 8 + 7, 10)  # one literal, and the longest of copies;
        put(1, 4)
        put(16, 6)  # a distance of one or two
        put(part - 1 - 2118, 24)  # so much more than the shortest of the longest copies
        put(0, 1)  # a distance of one
    put(3, 2)  # the last part, and empty
    return bits.to_bytes((size + 7) // 8, "little")


def bomb(coding, body, times=1):
    """So many at once, and somebody else beside them."""

    def tried(server, app, token):
        body_, fields = body(), ["Content-Type: application/json", *([f"Content-Encoding: {coding}"] if coding else [])]
        with sidecar.Memory(server) as memory:
            targets = [f"/items?{token}{number}" for number in range(times)]
            for target in targets:
                app.says(target, *fields, body=body_)
            opened = [wire.begin(server.port, encoded(lines("Connection: close", line=f"GET {target}"), token)) for target in targets]
            told = others(server, token)
            heard = [wire.end(connection, PATIENCE) for connection in opened]
        answers = [one.answers[0] for one in heard if one.answers]
        if len(answers) < times:
            return "no answer"
        whole = all(answer.status == 200 and answer.body == body_ for answer in answers)
        details = sorted({answer.field("cache-status").rpartition("; ")[2] for answer in answers})
        took = "bounded" if memory.more <= ROOM else f"{memory.more} MiB more"
        beside = "" if told == "others are answered" else f"; {told}"
        return f"{'whole' if whole else 'not whole'}, {' and '.join(details)}; {took}{beside}"

    return tried


def items(count):
    return b'{"items": [' + b",".join(b'{"id": %d}' % number for number in range(count)) + b"]}"


#: Seconds, which nobody needs: what is decoded in vain ends at `limits.max_object`.
PATIENCE = 20
TOO_LARGE = ("whole, detail=too-large; bounded",)
UNREADABLE = ("whole, detail=unreadable-body; bounded",)
LACKING = ("whole, detail=missing-tag-value; bounded",)
ATTACKS = [
    Attack("a GiB in gzip", bomb("gzip", lambda: gzip(GIB)), TOO_LARGE),
    Attack("a GiB in deflate", bomb("deflate", lambda: deflate(GIB)), TOO_LARGE),
    Attack("a GiB in br", bomb("br", lambda: brotli(GIB)), TOO_LARGE),
    Attack("a GiB in zstd", bomb("zstd", lambda: zstd(GIB)), TOO_LARGE),
    Attack("gzip in gzip", bomb("gzip, gzip", lambda: zlib.compress(gzip(GIB), 9, 31)), TOO_LARGE),
    Attack("four codings", bomb("gzip, gzip, gzip, gzip", lambda: zlib.compress(gzip(GIB), 9, 31)), UNREADABLE),
    Attack("100 of a GiB in br at once", bomb("br", lambda: brotli(GIB), 100), TOO_LARGE),
    Attack("gzip that ends early", bomb("gzip", lambda: zlib.compress(items(9), 9, 31)[:-9]), UNREADABLE),
    Attack("no gzip at all", bomb("gzip", lambda: b"evil"), UNREADABLE),
    Attack("a million lists in each other", bomb("", lambda: b"[" * MIB + b"]" * MIB), LACKING),
    Attack("a million lists in each other, where tags are read", bomb("", lambda: b'{"items": ' + b"[" * MIB + b"]" * MIB + b"}"), LACKING),
    Attack("100,000 tags", bomb("", lambda: items(100_000)), ("whole, detail=too-many-tags; bounded",)),
    Attack("a number of a million digits", bomb("", lambda: b'{"items": [{"id": 1' + b"0" * MIB + b"}]}"), UNREADABLE),
    Attack("a member 100,000 times", bomb("", lambda: b"{" + b",".join([b'"items":[]'] * 100_000) + b"}"), ("whole, stored; bounded",)),
]
