#!/usr/bin/env python3
"""Attacks Tagalong, and if asked to nginx and Varnish beside it, on loopback: what each answers, and what reaches the app.

    tests/attacks/run.py --tagalong target/debug/tagalong            # fails where Tagalong answers otherwise than it is to
    tests/attacks/run.py --tagalong target/release/tagalong --peers  # writes benches/results/attacks.md

Every server stands in front of an app of ours that believes whatever it is told. nginx and Varnish are configured as in
`benches/peers`, as caches of what the app allows. Groups that need rules, an admin interface or a log have a sidecar of their own, and try
one attack after the other. Needs Python 3.9; for the peers Debian's packages, installed where that is allowed.
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

import admin
import app
import bombs
import contestants
import deception
import fields
import http2
import keys
import leaks
import needs
import patience
import patterns
import poisoning
import reading
import rebinding
import smuggling
import splitting
import tags
import variants

GROUPS = [smuggling, http2, splitting, poisoning, deception, patience, reading, keys, variants]
#: Those with a sidecar of their own (`own`).
OWN = [fields, tags, bombs, patterns, admin, rebinding, leaks]
#: Those of them that take all there is of the processor, which those whose clients are to be in time need: tried when these are over.
BURNING = [bombs, patterns]
#: What looks like a file is stored, for `deception`; the configurations of the others say the same. And times for slow clients.
RULES = [{"id": "files", "match": {"path": r".*\.(css|txt)"}, "ttl": "60s"}]
LIMITS = {"limits": {f"client_{what}_timeout": "1s" for what in ("header", "body", "idle")}}
#: Varnish has limits of time among its parameters, nginx in its configuration.
PATIENCE = ["timeout_idle=1", "idle_send_timeout=1"]
PACKAGES = {"nginx": "nginx-light", "varnishd": "varnish"}
#: Attacks at once; each has pages of its own.
AT_ONCE = 8
OUT = ROOT / "benches" / "results" / "attacks.md"


def main():
    arguments = parse()
    groups = [group for group in GROUPS + OWN if arguments.group in (None, group.__name__)]
    for group in groups:
        names = [attack.name for attack in group.ATTACKS]
        assert len(names) == len(set(names)), f"{group.__name__} has two attacks of one name, and one would hide the other"
    numbers = itertools.count(1)

    def tried(attack, server):
        return attack.tried(server, behind, f"t{next(numbers)}x")

    def by_itself(group):
        """All of a group with a sidecar of its own, in order."""
        with group.own(arguments.tagalong, behind) as server:
            return {(group, attack.name, server.name): tried(attack, server) for attack in group.ATTACKS}

    with app.App() as behind, contextlib.ExitStack() as stack:
        servers = [stack.enter_context(contestants.tagalong(arguments.tagalong, behind, LIMITS, RULES))]
        if arguments.peers:
            needs.install(PACKAGES)
            certificate = stack.enter_context(contestants.certificate())
            nginx = contestants.nginx(HERE / "nginx.conf", behind, certificate=certificate)
            varnish = contestants.varnish(HERE / "varnish.vcl", behind, parameters=PATIENCE)
            servers += map(stack.enter_context, (nginx, varnish))
        tries = [(group, attack, server) for server in servers for group in groups for attack in group.ATTACKS if group in GROUPS and (server is servers[0] or attack.peers)]
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            own = [pool.submit(by_itself, group) for group in groups if group in OWN and group not in BURNING]
            told = {(group, attack.name, server.name): pool.submit(tried, attack, server) for group, attack, server in tries if not attack.alone}
        told = {what: each.result() for what, each in told.items()}
        for each in own:
            told |= each.result()
        for group in groups:
            if group in BURNING:
                told |= by_itself(group)
        for group, attack, server in tries:
            if attack.alone:
                told[group, attack.name, server.name] = tried(attack, server)
    wrong = [
        f"{group.__name__}, {attack.name}: {told[group, attack.name, servers[0].name]!r}, not {' or '.join(map(repr, attack.expected))}"
        for group in groups
        for attack in group.ATTACKS
        if told[group, attack.name, servers[0].name] not in attack.expected
    ]
    if arguments.peers:
        OUT.write_text(page(told, servers))
    print(f"{sum(len(group.ATTACKS) for group in groups)} attacks, {len(wrong)} answered otherwise than expected")
    if wrong:
        sys.exit("\n".join(wrong))


def page(told, servers):
    """The table of all, as Markdown."""
    versions = contestants.versions(servers)
    text = ["# Attacks", "", "    make bench-attacks", "", f"- Tagalong {contestants.state()}", *(f"- {line}" for line in versions), ""]
    for group in GROUPS + OWN:
        title, _, more = group.__doc__.partition("\n")
        text += [f"## {group.__name__.capitalize()}", "", title, " ".join(more.split()), ""]
        asked = servers if group in GROUPS else servers[:1]
        text += ["| attack | " + " | ".join(server.name for server in asked) + " |", "|" + " --- |" * (1 + len(asked))]
        for attack in group.ATTACKS:
            cells = [told.get((group, attack.name, server.name), "") for server in asked]
            text.append("| " + " | ".join(cell.replace("|", "\\|") for cell in [attack.name, *cells]) + " |")
        text.append("")
    return "\n".join(text)


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tagalong", metavar="PROGRAM", required=True)
    parser.add_argument("--peers", action="store_true", help="nginx and Varnish too, and write the table")
    parser.add_argument("--group", choices=[group.__name__ for group in GROUPS + OWN], help="this one alone; no table is written")
    arguments = parser.parse_args()
    if arguments.group and arguments.peers:
        parser.error("a table is of all groups")
    return arguments


if __name__ == "__main__":
    main()
