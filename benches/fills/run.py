#!/usr/bin/env python3
"""Measures what happens when many ask for what is not stored: stampedes, increments under load, large bodies, a purge of all.

    benches/fills/run.py --tagalong target/release/tagalong

Five scenarios, a file each: 200 at once to a cold URL, beside nginx with `proxy_cache_lock` and Varnish (`stampede`); an
increment under 1,000 requests a second (`increments`); followers of a slow body (`followers`); 50 bodies of 64 MiB at
once (`memory`); 10,000 hot keys, all invalidated (`purge`). The app (`app`) and the clients (`clients`) are Python, on
core 1, and where their own delays matter the page says how large they are; the server measured is on core 0. Rounds of
what is compared alternate. Nothing is thrown away: a wrong answer stops the run. No goal fails the command; each is told
to be met or not, here and in benches/results/fills.md. Takes about four minutes. Needs Python 3.9 and, from Debian,
nginx-light and varnish, which it installs where it may.
"""

import argparse
import contextlib
import os
import pathlib
import signal
import sys

HERE = pathlib.Path(__file__).resolve().parent
PEERS = HERE.parent / "peers"
PAGE = HERE.parent / "results" / "fills.md"
sys.path.append(str(PEERS))

import contestants  # noqa: E402
import followers  # noqa: E402
import increments  # noqa: E402
import memory  # noqa: E402
import needs  # noqa: E402
import page  # noqa: E402
import purge  # noqa: E402
import stampede  # noqa: E402

SCENARIOS = ["stampede", "increments", "followers", "memory", "purge"]


def main():
    arguments = parse()
    # However it is stopped, what it started ends first.
    for stop in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(stop, lambda *_: sys.exit("stopped"))
    needs.install({"nginx": "nginx-light", "varnishd": "varnish"})
    state = contestants.state()
    load = os.getloadavg()[0]
    print(f"load average: {load:.2f}", file=sys.stderr)
    os.sched_setaffinity(0, {contestants.CLIENT_CORE})
    with origin() as app:
        sections, versions = measure(app, arguments)
    text = page.markdown(sections, versions, state, (load, os.getloadavg()[0]))
    # Some of the scenarios are a trial; the page has all of them.
    out = arguments.out or (PAGE if set(arguments.only) == set(SCENARIOS) else None)
    if out:
        out.parent.mkdir(exist_ok=True)
        out.write_text(text)
    print(text)
    print(page.verdicts(sections))


def measure(app, arguments):
    """A section for each scenario, and what ran."""

    def tagalong(settings=None, rules=None):
        return contestants.tagalong(arguments.tagalong, app, settings, rules)

    sections, wanted = [], arguments.only
    with contextlib.ExitStack() as stack:
        run = stack.enter_context
        nginx = run(contestants.nginx(PEERS / "nginx" / "nginx.conf", app, "proxy_cache_lock on;"))
        varnish = run(contestants.varnish(PEERS / "varnish" / "default.vcl", app))
        plain = run(tagalong())
        versions = contestants.versions([nginx, varnish, plain])
        if "stampede" in wanted:
            servers = [("the app itself", app), ("nginx, proxy_cache_lock", nginx), ("Varnish", varnish), ("Tagalong", plain)]
            sections.append(stampede.measure(app, servers, arguments.rounds, arguments.uncacheable_rounds))
    with contextlib.ExitStack() as stack:
        if "increments" in wanted:
            by_mode = {mode: stack.enter_context(tagalong(rules=increments.rules(mode))) for mode in increments.MODES}
            sections.append(increments.measure(app, by_mode, arguments.rounds))
        if "followers" in wanted:
            sections.append(followers.measure(app, stack.enter_context(tagalong(followers.SETTINGS)), arguments.rounds))
    if "memory" in wanted:
        sections.append(memory.measure(app, tagalong))
    if "purge" in wanted:
        known = purge.knows_limit(arguments.tagalong)
        sections.append(purge.measure(app, tagalong) if known else purge.skipped())
    return sections, versions


def origin():
    """The app, on the clients' core."""
    port = contestants.free_port()
    command = [sys.executable, str(HERE / "app.py"), str(port)]
    return contestants.start("app", command, port, [], contestants.CLIENT_CORE)


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tagalong", metavar="PROGRAM", required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--uncacheable-rounds", type=int, default=3, help="nginx takes 11 s for each")
    parser.add_argument("--only", nargs="+", default=SCENARIOS, choices=SCENARIOS, help="print some of the scenarios")
    parser.add_argument("--out", type=pathlib.Path, help="default: benches/results/fills.md, unless --only is given")
    return parser.parse_args()


if __name__ == "__main__":
    main()
