#!/usr/bin/env python3
"""Compares the server CPU of a cache hit: bare hyper, nginx proxy_cache and Tagalong, side by side in one run.

    benches/peers/run.py --tagalong target/release/tagalong

The figure is user + system time of the server's processes around a bounded wrk run, divided by the requests answered.
Servers share core 0, one of them busy at a time; wrk and the app have core 1. Rounds alternate A B C, A B C, because
absolute times on a shared machine wander and ratios within a round do not. Nothing is thrown away: a round that failed
stops the run. Needs Python 3.9 and, from Debian, nginx-light and wrk, which it installs where it may.
"""

import argparse
import contextlib
import pathlib
import signal
import sys

import contestants
import load
import needs
import report

HERE = pathlib.Path(__file__).resolve().parent


def main():
    arguments = parse()
    # However it is stopped, what it started ends first.
    for stop in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(stop, lambda *_: sys.exit("stopped"))
    needs.install({"nginx": "nginx-light", "wrk": "wrk"})
    reference = needs.build(HERE / "reference" / "Cargo.toml")
    with contextlib.ExitStack() as stack:
        origin = stack.enter_context(contestants.origin(reference))
        running = [
            stack.enter_context(contestants.reference(reference)),
            stack.enter_context(contestants.nginx(HERE / "nginx" / "nginx.conf", origin)),
        ]
        if arguments.tagalong:
            running.append(stack.enter_context(contestants.tagalong(arguments.tagalong, origin)))
        results = measure(running, origin, arguments)
    arguments.out.parent.mkdir(exist_ok=True)
    text = report.markdown(results, contestants.versions(running, ["wrk", "-v"]), arguments)
    arguments.out.write_text(text)
    print(text)


def measure(running, origin, arguments):
    """One `load.Round` per size, round and contestant, in the order they ran."""
    results = []
    for kib in arguments.sizes:
        for contestant in running:
            load.warm(contestant, kib)
        before = origin.calls()
        for number in range(1, arguments.rounds + 1):
            for contestant in running:
                result = load.run(contestant, kib, number, arguments.seconds, arguments.connections)
                results.append(result)
                print(f"{result.kib} KiB, round {number}, {result.name}: {result.micros:.2f} µs", file=sys.stderr)
        if origin.calls() != before:
            sys.exit(f"not all were hits: the app was asked {origin.calls() - before} times at {kib} KiB")
    return results


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tagalong", metavar="COMMAND", help="the program, or a command line with {origin} and {port}")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3, help="length of one wrk run")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 16, 64], choices=[1, 16, 64, 1024], help="KiB")
    parser.add_argument("--out", type=pathlib.Path, default=HERE.parent / "results" / "peers.md")
    return parser.parse_args()


if __name__ == "__main__":
    main()
