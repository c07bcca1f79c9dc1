#!/usr/bin/env python3
"""Runs the fuzz targets, one after the other or some at a time, and says in a table what came of it.

    tests/fuzz/run.py [--seconds 30] [--jobs 1] [--since COMMIT] [--write] [TARGET …]
    tests/fuzz/run.py --page
    tests/fuzz/run.py --keep 20 [TARGET …]

Without names it runs all targets; with `--since` those whose parts have changed since that commit, and `--list` says which these are.
New inputs stay in target/fuzz/corpus, the fuzzer's own words in target/fuzz/logs, what came of the last run of each target in
target/fuzz/found, and an input that breaks something in tests/fuzz/artifacts; the seeds stay as they are. It fails if there is such an
input. `--write` then writes benches/results/fuzz.md of the last run of each target, so that some may run for longer than others;
`--page` does that alone. `--keep` runs nothing: of what was found before, it makes seeds of the smallest that reach what no seed does, so
many for each target. Needs Python 3.9 and cargo-fuzz; no nightly: instrumented for coverage, without a sanitizer.
"""

import argparse
import collections
import concurrent.futures
import dataclasses
import datetime
import json
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
import typing

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = ROOT / "tests" / "fuzz"
BUILT = ROOT / "target" / "fuzz"
PAGE = ROOT / "benches" / "results" / "fuzz.md"
#: The commit that was built; `+`: with changes.
COMMIT = BUILT / "commit"
CARGO = os.environ.get("CARGO", "cargo")
#: Longer inputs than these, in bytes, reach nothing more; seconds that one may take, on a machine that has other work too.
LONGEST, SLOWEST = 2_048, 20
#: No seed that was found is larger, in bytes.
LARGEST_SEED = 400
#: A target has reached what it can when the second half of its inputs brought less than this part of all edges, and
#: they are so many: of few the half brings little wherever one stands.
PLATEAU, LEAST = 0.01, 100_000


@dataclasses.dataclass(frozen=True)
class Target:
    #: What its inputs are.
    of: str
    #: What must hold.
    holds: str
    #: The files and folders that it tries.
    parts: tuple


TARGETS = {
    "admin": Target(
        "calls of operators: path, query, fields, JSON of purges, increments, refreshes, changes, epochs, lives, values",
        "never a panic, never a 5xx; what is refused is a problem, and changes nothing; looking changes nothing; of entries, pages, values and versions of tags what was asked for is gone or changed, and nothing else; each call is written down once; answers and what was asked read as their types and back",
        ("src/admin", "src/audit", "src/cache", "src/dialects", "src/fetch", "src/rules", "src/store", "src/tags", "src/model"),
    ),
    "codec": Target(
        "stored entries and their records, sealed and as they are",
        "read is written alike, compressed or not; cut or changed is nothing; bounded by the largest object",
        ("src/store/codec", "src/model"),
    ),
    "config": Target(
        "`tagalong.yaml`",
        "every mistake has its place and one line; the same text has the same mistakes; no secret is shown",
        ("src/config", "src/yaml", "src/shared/config", "src/upstream", "src/model"),
    ),
    "encodings": Target(
        "names, written as tags, increments and groups in each dialect, changes, dimensions, key fields, `Cache-Status`; content in up to three codings, and what only says that it is encoded; JSON that tags are read from",
        "what is written reads back; no two that differ are written alike; decoded content keeps to its bound, and cut content is never taken for another",
        ("src/dialects", "src/fetch/picking.rs", "src/rules", "src/model"),
    ),
    "fast_path": Target(
        "bytes of a client's connection",
        "what is answered before hyper sees it, hyper reads alike, and goes on at the same byte",
        ("src/proxy/fast_path.rs",),
    ),
    "headers": Target(
        "the heads of an exchange: tag fields in every dialect, directives, targeted fields, dates, `Vary`, validators, cookies, `Cache-Status`",
        "restrictions restrict; garbage makes nothing more cacheable; our fields are taken once; what is stored has an end; `Cache-Status` stays a list",
        ("src/dialects", "src/policy", "src/model"),
    ),
    "plan": Target(
        "heads of requests: target, query, percent-encoding, dot segments, cookies, fields that rules normalise; templates are rendered from them",
        "the same head has the same plan; unsafe methods are not looked up; a key holds scheme, method and namespace, and is no longer than its request",
        ("src/rules", "src/model"),
    ),
    "ranges": Target(
        "requests for ranges, with validators and dates, and stored wholes and parts",
        "slices are there, touch no other, and say where they are; a part answers as the whole would; parts join to the whole",
        ("src/policy", "src/model"),
    ),
    "records": Target(
        "records of the log of increments, states of tags, the sequence, the epoch, audit records, places in scans, tokens of values",
        "what is understood says all that is written, and reads back; what a newer version adds is not understood",
        ("src/shared", "src/audit", "src/tags/token.rs", "src/model"),
    ),
    "rules": Target(
        "rule files, templates and patterns among them",
        "every mistake has its place and one line; what compiles plans",
        ("src/rules", "src/yaml", "src/model"),
    ),
    "spelled": Target(
        "heads of requests, each spelled in several ways that mean the same",
        "one plan for all spellings: order of fields and of parameters, lists and cookies on several lines, absolute targets, hosts in capitals and with the scheme's own port; and one rule for dot segments, plain or percent-encoded",
        ("src/rules", "src/model", "tests/fuzz/src/plan.rs"),
    ),
    "tokens": Target(
        "JSON Web Tokens, signed with the key that is trusted and not",
        "nobody is looked up by a token that is not signed, has expired, or says what is not understood",
        ("src/rules", "src/model"),
    ),
}
#: All targets are made of these.
OF_ALL = ("Cargo.toml", "Cargo.lock", "rust-toolchain.toml", "tests/fuzz/Cargo.toml", "tests/fuzz/Cargo.lock", "tests/fuzz/run.py")
SHARED = ("lib", "fields", "mistakes")


@dataclasses.dataclass
class Found:
    """What came of a target."""

    seconds: float
    #: Of these it had a processor for so many.
    worked: float = 0
    #: The day, the commit of the program, and how many targets ran at a time.
    day: str = ""
    commit: str = ""
    jobs: int = 1
    runs: int = 0
    #: Edges that the seeds reach.
    seeds: int = 0
    #: After so many inputs and seconds so many edges were reached: what was found before, then each time when there was one more.
    reached: list = dataclasses.field(default_factory=lambda: [(0, 0.0, 0)])
    #: Inputs that reach something of their own, and their bytes.
    inputs: str = ""
    broke: bool = False

    @property
    def edges(self) -> int:
        """Those that all inputs reach in the end."""
        return self.reached[-1][2]

    @property
    def late(self) -> int:
        """Those that only the second half of the inputs reached; how long that took says more of the machine."""
        before = self.reached[0][0]
        half = before + (self.runs - before) / 2
        return self.edges - max(edges for runs, _, edges in self.reached if runs <= half)

    def is_done(self) -> bool:
        """Whether there is little left that it could reach."""
        return self.late < PLATEAU * self.edges and self.runs >= LEAST

    def reach(self, runs: int, at: float, edges: int) -> None:
        if edges > self.edges:
            self.reached.append((runs, at, edges))

    def row(self, name: str) -> str:
        last = self.reached[-1][1]
        late = f"{self.late:,} ({100 * self.late / max(self.edges, 1):.2f} %)"
        each = self.runs / max(self.worked, 1)
        cells = [f"`{name}`", f"{self.seconds:,.0f} s", f"{self.worked:,.0f} s", f"{self.runs:,}", f"{each:,.0f}", f"{self.seeds:,}", f"{self.edges:,}", late]
        return f"| {' | '.join([*cells, f'{last:,.0f} s' if last else '–', self.inputs, f'`{self.commit}`'])} |"


def kept(name: str) -> pathlib.Path:
    """Where it stands what came of the last run of a target."""
    return BUILT / "found" / f"{name}.json"


def last_runs() -> dict:
    """What came of the last run of each target that has run."""
    return {name: Found(**json.loads(kept(name).read_text(encoding="utf-8"))) for name in sorted(TARGETS) if kept(name).is_file()}


def concerned(changed: typing.Iterable[str]) -> list:
    """The targets that try what is in these files."""
    chosen = set()
    for file in changed:
        path = pathlib.PurePosixPath(file)
        own = [name for name in TARGETS if path.is_relative_to(f"tests/fuzz/corpus/{name}") or (path.stem == name and path.is_relative_to("tests/fuzz"))]
        if file in OF_ALL or (path.parent == pathlib.PurePosixPath("tests/fuzz/src") and path.stem in SHARED):
            return sorted(TARGETS)
        chosen.update(own)
        chosen.update(name for name, target in TARGETS.items() if any(path.is_relative_to(part) for part in target.parts))
    return sorted(chosen)


def git(*words: str) -> subprocess.CompletedProcess:
    # In a container the folder is another user's.
    return subprocess.run(["git", "-c", "safe.directory=*", "-C", str(ROOT), *words], check=False, capture_output=True, text=True)


def changed_since(commit: str) -> typing.Optional[list]:
    """The files that have changed since; None: nobody knows the commit."""
    told = git("diff", "--name-only", f"{commit}...HEAD")
    if told.returncode:
        print(f"since {commit}: {told.stderr.strip()}", file=sys.stderr)
        return None
    return told.stdout.splitlines()


def build() -> None:
    options = ["--fuzz-dir", str(HERE), "--target-dir", str(BUILT), "--sanitizer", "none"]
    subprocess.run([CARGO, "fuzz", "build", *options], cwd=ROOT, check=True)
    # Seeds are not built in.
    changes = git("status", "--porcelain", "--", "src", "Cargo.toml", "Cargo.lock", "tests/fuzz", ":!tests/fuzz/corpus").stdout
    COMMIT.write_text(git("rev-parse", "--short=8", "HEAD").stdout.strip() + ("+" if changes else ""), encoding="utf-8")


def program(name: str) -> str:
    """The one that was built."""
    programs = sorted(BUILT.glob(f"*/release/{name}"), key=lambda file: file.stat().st_mtime)
    if not programs:
        sys.exit(f"{name} is not built")
    return str(programs[-1])


def fuzz(name: str, options: list, folders: list, log: typing.TextIO) -> typing.Iterator:
    """Runs a target; yields what it says of its state, and ends with whether it broke and its seconds on a processor."""
    broken = HERE / "artifacts" / name
    broken.mkdir(parents=True, exist_ok=True)
    command = [program(name), *options, f"-max_len={LONGEST}", f"-timeout={SLOWEST}", f"-artifact_prefix={broken}/", *map(str, folders)]
    said = collections.deque(maxlen=40)
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace") as ran:
        for line in ran.stderr:
            log.write(line)
            said.append(line)
            state = re.match(r"#(\d+)\t(\w+)\s+cov: (\d+) ft: \d+ corp: (\S+)", line)
            if state:
                yield state[2], int(state[1]), int(state[3]), state[4]
        _, status, usage = os.wait4(ran.pid, 0)
        ran.returncode = os.waitstatus_to_exitcode(status)
    if ran.returncode:
        sys.stderr.writelines(said)
    yield "BROKE" if ran.returncode else "ENDED", int(usage.ru_utime + usage.ru_stime), 0, ""


def tried(name: str, seconds: int, jobs: int) -> Found:
    """Runs a target for so long, from the seeds and what was found before."""
    seeds, more = HERE / "corpus" / name, BUILT / "corpus" / name
    more.mkdir(parents=True, exist_ok=True)
    (BUILT / "logs").mkdir(exist_ok=True)
    found = Found(seconds, day=str(datetime.date.today()), commit=COMMIT.read_text(encoding="utf-8"), jobs=jobs)
    with (BUILT / "logs" / f"{name}.log").open("w", encoding="utf-8") as log:
        for word, _, edges, _ in fuzz(name, ["-runs=0"], [seeds], log):
            found.broke |= word == "BROKE"
            found.seeds = max(found.seeds, edges)
        begun = time.monotonic()
        options = [f"-max_total_time={seconds}", f"-dict={HERE / name}.dict"]
        for word, runs, edges, inputs in fuzz(name, options, [more, seeds], log):
            if word in ("BROKE", "ENDED"):
                found.broke |= word == "BROKE"
                found.worked = runs
                break
            if word == "INITED":
                found.reached = [(runs, 0.0, edges)]
            found.reach(runs, time.monotonic() - begun, edges)
            found.runs, found.inputs = runs, inputs
        found.seconds = time.monotonic() - begun
    kept(name).parent.mkdir(exist_ok=True)
    kept(name).write_text(json.dumps(dataclasses.asdict(found)), encoding="utf-8")
    return found


def keep(name: str, most: int) -> int:
    """Makes seeds of what was found; how many."""
    seeds, more = HERE / "corpus" / name, BUILT / "corpus" / name
    with tempfile.TemporaryDirectory() as merged, open(os.devnull, "w", encoding="utf-8") as nowhere:
        shutil.copytree(seeds, merged, dirs_exist_ok=True)
        for word, _, _, _ in fuzz(name, ["-merge=1"], [merged, more], nowhere):
            if word == "BROKE":
                sys.exit(f"{name} cannot be merged")
        new = [file for file in pathlib.Path(merged).iterdir() if not (seeds / file.name).exists()]
        small = sorted((file for file in new if file.stat().st_size <= LARGEST_SEED), key=lambda file: (file.stat().st_size, file.name))
        for file in small[:most]:
            shutil.copyfile(file, seeds / f"found-{file.name[:12]}")
    return len(small[:most])


HEAD = [
    "| target | for | on a processor | inputs tried | in each second there | edges, seeds alone | edges in the end | of them by the second half alone | last new edge after | inputs kept, bytes | commit |",
    "|---|---|---|---|---|---|---|---|---|---|---|",
]


def listed(names: list) -> str:
    quoted = [f"`{name}`" for name in names]
    return " and ".join([part for part in [", ".join(quoted[:-1]), quoted[-1]] if part])


def verdict(found: dict) -> str:
    """Which of them have reached what they can."""
    done = [name for name, one in found.items() if one.is_done()]
    others = [name for name in found if name not in done]
    if not others:
        return "By that all have."
    return f"By that {listed(done) if done else 'none'} {'has' if len(done) < 2 else 'have'}, and {listed(others)} {'has' if len(others) < 2 else 'have'} not."


def page(found: dict) -> str:
    version = subprocess.run(["rustc", "--version"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()[1]
    processor = re.search(r"^model name\s*: (.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    jobs, days = max(one.jobs for one in found.values()), sorted({one.day for one in found.values()})
    lines = [
        "# Fuzzing",
        "",
        f"    make fuzz FUZZ_SECONDS={max(one.seconds for one in found.values()) // 10 * 10:.0f} FUZZ_JOBS={jobs} FUZZ_WRITE=1",
        "",
        "libFuzzer, instrumented for coverage and without a sanitizer (`unsafe` is forbidden in our own code), release builds with debug assertions, each target from",
        f"the seeds in `tests/fuzz/corpus` and what it had found before, {jobs} at a time: the last run of each, for so long. {' to '.join(sorted({days[0], days[-1]}))}, rustc {version}, "
        f"{os.cpu_count()} × {processor[1] if processor else platform.machine()}, a machine with other work.",
        "",
        *HEAD,
        *(one.row(name) for name, one in found.items()),
        "",
        "An edge is a step from one block of instructions to the next, those of the libraries that are built with the target among them; what the target itself checks with",
        f"is counted too. A target has reached what it can when the second half of its inputs brought less than {100 * PLATEAU:.0f} % of all its edges,",
        f"and they are {LEAST:,} at least. {verdict(found)}",
        "",
        "## What is tried, and what must hold",
        "",
        "| target | inputs | what must hold of any |",
        "|---|---|---|",
        *(described(name) for name in TARGETS),
        "",
        "With every change `cargo test` replays all seeds and tries random inputs (`tests/it/hostile.rs`), and CI fuzzes the targets whose parts have changed, for a minute each;",
        "every night each target has 15 minutes. An input that broke something becomes a seed, and a test of the part that was mended.",
        "",
    ]
    return "\n".join(lines)


def described(name: str) -> str:
    target = TARGETS[name]
    return f"| [`{name}`](../../tests/fuzz/src/{name}.rs) | {target.of} | {target.holds} |"


def write() -> None:
    found = last_runs()
    missing = [name for name in TARGETS if name not in found]
    if missing:
        sys.exit(f"never run: {', '.join(missing)}")
    broken = [name for name, one in found.items() if one.broke]
    if broken:
        sys.exit(f"broke: {', '.join(broken)}; mend that, and run them again")
    PAGE.write_text(page(found), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="default: all")
    parser.add_argument("--seconds", type=int, default=30, help="for each target")
    parser.add_argument("--jobs", type=int, default=1, help="so many targets at a time")
    parser.add_argument("--since", metavar="COMMIT", help="only what has changed since")
    parser.add_argument("--built", action="store_true", help="run the programs that are there, and build none")
    parser.add_argument("--list", action="store_true", help="say which targets would be run")
    parser.add_argument("--write", action="store_true", help=f"write the last run of each target into {PAGE.relative_to(ROOT)}")
    parser.add_argument("--page", action="store_true", help="write that of what has run before, and run nothing")
    parser.add_argument("--keep", type=int, metavar="COUNT", help="make seeds of so many inputs that were found, for each target, and run nothing")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.targets) - set(TARGETS))
    if unknown:
        parser.error(f"there is no target {', '.join(unknown)}; there are {', '.join(TARGETS)}")
    chosen = sorted(set(arguments.targets)) or sorted(TARGETS)
    changed = changed_since(arguments.since) if arguments.since else None
    if changed is not None:
        chosen = [name for name in chosen if name in concerned(changed)]
    if arguments.list:
        print("\n".join(chosen))
        return
    if arguments.page:
        write()
        return
    if chosen and not arguments.built:
        build()
    if arguments.keep:
        for name in chosen:
            print(f"{name}: {keep(name, arguments.keep)} more seeds", flush=True)
        return

    def one(name: str) -> Found:
        print(f"== {name}", flush=True)
        return tried(name, arguments.seconds, arguments.jobs)

    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as jobs:
        found = dict(zip(chosen, jobs.map(one, chosen)))
    print("\n".join(["", *HEAD, *(one.row(name) for name, one in found.items())]) if found else "nothing that is fuzzed has changed")
    broken = [name for name, one in found.items() if one.broke]
    if broken:
        sys.exit(f"broke: {', '.join(broken)}; the inputs are in tests/fuzz/artifacts")
    if arguments.write:
        write()


if __name__ == "__main__":
    main()
