#!/usr/bin/env python3
"""Measures Tagalong beside a bare hyper server, nginx and Varnish: every workload, in alternating rounds, in one run.

    benches/peers/run.py --tagalong target/dist/tagalong

Servers share core 0, one of them busy at a time; the load generator and the app have core 1. Rounds alternate A B C, A B C, because
absolute times on a shared machine wander and ratios within a round do not. Nothing is thrown away: a wrong answer, or a hit for
which the app was asked, stops the run. No goal fails the command; each is told to be met or not, here and in benches/results/peers.md.
`hits` has what wrk and h2load drive, a row each; `bursts`, `changes`, `footprint`, `together` and `starting` a workload each.
Needs Python 3.9 and Debian's packages (below), which it installs where it may.
"""

import argparse
import os
import pathlib
import signal
import sys

import bench
import bursts
import changes
import contestants
import footprint
import hits
import needs
import plot
import report
import starting
import together

HERE = pathlib.Path(__file__).resolve().parent
RESULTS = HERE.parent / "results"
PACKAGES = {
    "nginx": "nginx-light",
    "varnishd": "varnish",
    "/usr/lib/*/varnish/vmods/libvmod_xkey.so": "varnish-modules",
    "wrk": "wrk",
    "h2load": "nghttp2-client",
    "openssl": "openssl",
    "redis-server": "redis-server",
}
GROUPS = [hits, bursts, changes, footprint, together, starting]
WORKLOADS = [name for group in GROUPS for name in group.NAMES]


def main():
    arguments = parse()
    # However it is stopped, what it started ends first.
    for stop in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(stop, lambda *_: sys.exit("stopped"))
    needs.install(PACKAGES)
    small = needs.build(HERE / "reference" / "Cargo.toml")
    load = os.getloadavg()[0]
    with contestants.certificate() as certificate:
        limits = arguments.rounds, arguments.seconds, arguments.most
        given = bench.Bench(arguments.tagalong, small, certificate, *limits, arguments.only)
        figures = measure(given)
    goals = [goal for group in GROUPS for goal in group.goals(given)]
    plots = draw(figures, given)
    asked = [["nginx", "-v"], ["varnishd", "-V"], [arguments.tagalong, "--version"], ["wrk", "-v"], ["h2load", "--version"], ["redis-server", "--version"]]
    versions = contestants.versions([], *([needs.find(command[0]), *command[1:]] for command in asked))
    how = [group.__doc__ for group in GROUPS if set(group.NAMES) & set(given.only)]
    page = report.markdown(figures, goals, how, contestants.state(), versions, (load, os.getloadavg()[0]), given, plots)
    # Some of the workloads are a trial; the page has all of them.
    out = arguments.out or (RESULTS if set(arguments.only) == set(WORKLOADS) and not arguments.quick else None)
    if out:
        out.mkdir(parents=True, exist_ok=True)
        files = {"peers.md": page, **{each.file: plot.svg(each) for each in plots}}
        for name, text in files.items():
            (out / name).write_text(text)
    print(page)


def measure(given):
    """All figures, in the order in which they came."""
    figures = []
    for group in GROUPS:
        if not set(group.NAMES) & set(given.only):
            continue
        for figure in group.measure(given):
            figures.append(figure)
            rounded = f"{figure.value:.{report.DIGITS[figure.unit]}f} {figure.unit}"
            print(f"{figure.row}, round {figure.number}, {figure.server}: {rounded}", file=sys.stderr)
    return figures


def draw(figures, given):
    """The plots for which there are figures."""
    sizes = {f"hit, {hits.size(kib)}": kib for kib in (1, 16, 64, 1024)}
    dependents = {changes.took(count): count for count in changes.counts(given)}
    plots = [
        plot.of("peers-hits.svg", "A hit", "size of the body, KiB", "server CPU, µs", figures, sizes),
        plot.of("peers-invalidation.svg", "Invalidation of one tag", "responses with the tag", "ms", figures, dependents),
    ]
    return [each for each in plots if each.lines]


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tagalong", metavar="PROGRAM", required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2, help="length of one run of wrk or h2load")
    parser.add_argument("--most", type=int, default=1_000_000, help="entries at most: URLs, dependents")
    parser.add_argument("--quick", action="store_true", help="a trial: one round of 1 s, 10,000 entries at most; writes nothing")
    parser.add_argument("--only", nargs="+", metavar="WORKLOAD", default=WORKLOADS, choices=WORKLOADS, help=", ".join(WORKLOADS))
    parser.add_argument("--out", type=pathlib.Path, metavar="FOLDER", help="default: benches/results, if all is measured")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.rounds, arguments.seconds, arguments.most = 1, 1, 10_000
    return arguments


if __name__ == "__main__":
    main()
