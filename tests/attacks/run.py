#!/usr/bin/env python3
"""Attacks Tagalong, and if asked to nginx and Varnish beside it, on loopback: what each answers, and what reaches the app.

    tests/attacks/run.py --tagalong target/debug/tagalong            # fails where Tagalong answers otherwise than it is to
    tests/attacks/run.py --tagalong target/release/tagalong --peers  # writes benches/results/attacks.md

Every server stands in front of an app of ours that believes whatever it is told. nginx and Varnish are configured as in
`benches/peers`, as caches of what the app allows. Needs Python 3.9; for the peers Debian's packages, installed where that is allowed.
"""

import argparse
import concurrent.futures
import contextlib
import itertools
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "benches" / "peers"))

import app
import contestants
import deception
import http2
import needs
import patience
import poisoning
import smuggling
import splitting

GROUPS = [smuggling, http2, splitting, poisoning, deception, patience]
#: What looks like a file is stored, for `deception`; the configurations of the others say the same. And times for slow clients.
RULES = [{"id": "files", "match": {"path": r".*\.(css|txt)"}, "ttl": "60s"}]
LIMITS = {"limits": {f"client_{what}_timeout": "1s" for what in ("header", "body", "idle")}}
PACKAGES = {"nginx": "nginx-light", "varnishd": "varnish"}
#: Attacks at once; each has pages of its own.
AT_ONCE = 8
OUT = ROOT / "benches" / "results" / "attacks.md"


def main():
    arguments = parse()
    with app.App() as behind, contextlib.ExitStack() as stack:
        servers = [stack.enter_context(contestants.tagalong(arguments.tagalong, behind, LIMITS, RULES))]
        if arguments.peers:
            needs.install(PACKAGES)
            certificate = stack.enter_context(contestants.certificate())
            nginx = contestants.nginx(HERE / "nginx.conf", behind, certificate=certificate)
            varnish = contestants.varnish(HERE / "varnish.vcl", behind)
            servers += map(stack.enter_context, (nginx, varnish))
        tokens = (f"t{number}x" for number in itertools.count(1))
        told = {}
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            for server in servers:
                for group in GROUPS:
                    for attack in group.ATTACKS:
                        if server is servers[0] or attack.peers:
                            told[group, attack.name, server.name] = pool.submit(attack.tried, server, behind, next(tokens))
        told = {what: each.result() for what, each in told.items()}
    wrong = [
        f"{group.__name__}, {attack.name}: {told[group, attack.name, servers[0].name]!r}, not {' or '.join(map(repr, attack.expected))}"
        for group in GROUPS
        for attack in group.ATTACKS
        if told[group, attack.name, servers[0].name] not in attack.expected
    ]
    if arguments.peers:
        OUT.write_text(page(told, servers))
    print(f"{sum(len(group.ATTACKS) for group in GROUPS)} attacks, {len(wrong)} answered otherwise than expected")
    if wrong:
        sys.exit("\n".join(wrong))


def page(told, servers):
    """The table of all, as Markdown."""
    versions = contestants.versions(servers)
    text = ["# Attacks", "", "    make bench-attacks", "", *(f"- {line}" for line in versions), ""]
    for group in GROUPS:
        title, _, more = group.__doc__.partition("\n")
        text += [f"## {group.__name__.capitalize()}", "", title, " ".join(more.split()), ""]
        text += ["| attack | " + " | ".join(server.name for server in servers) + " |", "|" + " --- |" * (1 + len(servers))]
        for attack in group.ATTACKS:
            cells = [told.get((group, attack.name, server.name), "") for server in servers]
            text.append("| " + " | ".join([attack.name, *cells]) + " |")
        text.append("")
    return "\n".join(text)


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tagalong", metavar="PROGRAM", required=True)
    parser.add_argument("--peers", action="store_true", help="nginx and Varnish too, and write the table")
    return parser.parse_args()


if __name__ == "__main__":
    main()
