"""A name server that knows one name: names.py ADDRESS NAME IPV4. Prints a line when it listens, on port 53."""

import socket
import struct
import sys

A, IN, NO_SUCH_NAME = 1, 1, 3


def answer(query, name, address):
    """RFC 1035 section 4: the question again, and the address if it asks for it."""
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1 : at + 1 + query[at]].decode().lower())
        at += 1 + query[at]
    question = query[12 : at + 5]
    (kind,) = struct.unpack("!H", query[at + 1 : at + 3])
    known = ".".join(labels) == name
    found = known and kind == A
    head = query[:2] + struct.pack("!HHHHH", 0x8180 | (0 if known else NO_SUCH_NAME), 1, int(found), 0, 0)
    record = struct.pack("!HHHIH", 0xC00C, A, IN, 60, 4) + socket.inet_aton(address)
    return head + question + (record if found else b"")


if __name__ == "__main__":
    listen, name, address = sys.argv[1:]
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((listen, 53))
    print("listening", flush=True)
    while True:
        query, client = server.recvfrom(512)
        server.sendto(answer(query, name, address), client)
