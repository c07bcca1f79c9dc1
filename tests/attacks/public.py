#!/usr/bin/env python3
"""Tools that others have written attack the sidecar, in front of the app of the attacks: what they find is what we know of.

    tests/attacks/public.py --tagalong target/debug/tagalong [--write]

h2spec holds the server to RFC 7540 and 7541, with and without TLS; cpd looks for poisoned pages, deception and smuggling; slowhttptest is
slow in four ways. It fails where a tool finds more or less than stands here. `--write` makes benches/results/attack-tools.md. `make
attack-tools` brings the tools.
"""

import argparse
import csv
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "benches" / "peers"))

import app
import contestants

TOOLS = ROOT / "target" / "attack-tools"
OUT = ROOT / "benches" / "results" / "attack-tools.md"
#: Times for slow clients, and rules as the attacks have them.
LIMITS = {"limits": {f"client_{what}_timeout": "2s" for what in ("header", "body", "idle")}}
RULES = [{"id": "files", "match": {"path": r".*\.(css|txt)"}, "ttl": "60s"}]
#: Of slowhttptest: connections (fewer than `upstream.max_concurrent`; `patience` has more), how many of them a second, seconds; and seconds
#: after which it takes a server for dead.
SLOW = ["-c", "200", "-r", "100", "-l", "8", "-p", "3"]
LARGE = b"x" * (6 << 20)

#: What h2spec wants otherwise.
PREFACE = {
    "http2/3.5: Sends invalid connection preface": "The port speaks HTTP/1.1 too. What is no preface is a request of that, a malformed one: 400, and the connection is closed. h2spec wants the end without words.",
}
#: What cpd finds, by the names of its signatures.
COOKIE = "The app writes the cookie into a page that it says is for everybody (`public`): docs/security.md, “Left to you”."
FOUND = {name: COOKIE for name in ("CPDoS-Large-Cookie", "Cookie-HMO", "Cookie-Reflection-Session", "Cookie-Vary")}


def main():
    arguments = parse()
    told, wrong = [], []
    with app.App() as behind, contestants.certificate() as certificate, tempfile.TemporaryDirectory(prefix="attack-tools-") as folder:
        folder = pathlib.Path(folder)
        with contestants.tagalong(arguments.tagalong, behind, LIMITS, RULES, certificate) as server:
            tries = [
                ("h2spec", lambda: h2spec(folder, server.port), PREFACE),
                ("h2spec, strict", lambda: h2spec(folder, server.port, "--strict"), PREFACE),
                ("h2spec, TLS", lambda: h2spec(folder, server.doors["https"], "--tls", "--insecure"), PREFACE),
                ("cpd", lambda: cpd(folder, server, behind), FOUND),
                *((f"slowhttptest, {name}", lambda options=options: slow(folder, server, behind, options), {}) for name, options in WAYS.items()),
            ]
            for name, run, known in tries:
                summary, found = run()
                told.append((name, summary, {what: known.get(what, "not known") for what in sorted(found)}))
                wrong += [f"{name} finds: {what}" for what in sorted(found - known.keys())]
                wrong += [f"{name} no longer finds: {what}" for what in sorted(known.keys() - found)]
                print(f"{name}: {summary}, {len(found)} found", flush=True)
        if arguments.write:
            OUT.write_text(page(told, [server]))
    if wrong:
        sys.exit("\n".join(wrong))


def h2spec(folder, port, *options):
    """How many tests passed, and which did not."""
    report = folder / "h2spec.xml"
    run([TOOLS / "bin" / "h2spec", "--host", "127.0.0.1", "--port", str(port), "--junit-report", report, *options], folder, codes=(0, 1))
    cases = list(xml.etree.ElementTree.parse(report).iter("testcase"))
    failed = {f"{case.get('package')}: {case.get('classname')}" for case in cases if len(case)}
    return f"{len(cases) - len(failed)} of {len(cases)} tests pass", failed


def cpd(folder, server, behind):
    """How many requests it made, and which of its signatures it takes for holes."""
    report, before = folder / "cpd.json", len(behind.about(""))
    # It would look for a newer version of itself, and keeps things in a home.
    environment = {**os.environ, "HTTPS_PROXY": "http://127.0.0.1:9", "HOME": str(folder)}
    command = [TOOLS / "venv" / "bin" / "cpd", "--quiet", "scan", "--url", server.url("/page"), "--output", report, "--concurrency", "10"]
    run(command, folder, environment)
    found = json.loads(report.read_text()) if report.exists() else []
    reached = len(behind.about("")) - before
    return f"some {round(reached, -2)} requests reach the app", {one["signature"]["name"] if "signature" in one else one["vulnerability"] for one in found}


#: Heads, bodies, answers; and many ranges.
WAYS = {"heads": ["-H", "-i", "1"], "bodies": ["-B", "-i", "1"], "reading": ["-X", "-n", "1", "-w", "512", "-y", "1024", "-z", "32", "-k", "3"], "ranges": ["-R"]}


def slow(folder, server, behind, options):
    """In which seconds nobody else was answered."""
    behind.says("/large", body=LARGE)
    run(["slowhttptest", *SLOW, *options, "-u", server.url("/large"), "-g", "-o", folder / "slow"], folder)
    with open(folder / "slow.csv") as file:
        seconds = list(csv.DictReader(file))
    if not any(int(second["Connected"]) + int(second["Closed"]) for second in seconds):
        sys.exit(f"slowhttptest was never connected: {' '.join(options)}")
    found = {f"second {second['Seconds']}: others are not answered" for second in seconds if int(second["Service Available"]) == 0}
    return f"others are {'not ' if found else ''}answered", found


def run(command, folder, environment=None, codes=(0,)):
    with open(folder / "said", "wb") as said:
        done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=said, stderr=said, env=environment, cwd=folder, timeout=300)
    if done.returncode not in codes:
        sys.exit(f"{command[0]} ended with {done.returncode}:\n{(folder / 'said').read_text(errors='replace')[-2_000:]}")


def page(told, servers):
    versions = [line for line in contestants.versions(servers) if not line.startswith("rustc")]
    for pattern, file in ((r"h2spec v[\d.]+", "go.mod"), (r"cpd-sec==\S+", "requirements.txt")):
        versions.append(re.search(pattern, (HERE / "tools" / file).read_text())[0].replace("==", " "))
    versions += [subprocess.run(["dpkg-query", "-W", "slowhttptest"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip().replace("\t", " ")]
    text = ["# Public tools against the sidecar", "", "    make attack-tools WRITE=1", "", f"- Tagalong {contestants.state()}", *(f"- {line}" for line in versions), ""]
    text += ["What each found, and why that is as it is. Every night the sidecar is held to it.", "", "| tool | what came of it | what it finds |", "| --- | --- | --- |"]
    for name, summary, found in told:
        reasons = {why: ", ".join(what for what in found if found[what] == why) for why in found.values()}
        text.append(f"| {name} | {summary} | {' '.join(f'{what}. {why}' for why, what in reasons.items()) or 'nothing'} |")
    return "\n".join([*text, ""])


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tagalong", metavar="PROGRAM", required=True, type=lambda path: str(pathlib.Path(path).resolve()))
    parser.add_argument("--write", action="store_true", help="write the page")
    return parser.parse_args()


if __name__ == "__main__":
    main()
