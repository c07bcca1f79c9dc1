"""Takes the place of a program while the shell on the pages is run: stand_ins.py PROGRAM ARGUMENT…

`tagalong` and `curl` are run, against the sidecar of the page in place of the reader's own. The others are not: what they do needs a
network, rights, another machine or minutes. How they are called is looked at as far as this repository knows. What is wrong goes to
$FAILURES, with the page and the line.
"""

import json
import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(os.environ.get("REPOSITORY", "."))
PATHS = ("./", "clients/", "examples/", "scripts/", "tests/", "benches/", "helm/", "packaging/")
HELD_UP = 1.0  # seconds that are given to what goes on until it is stopped


class Wrong(Exception):
    """How a program is called is wrong: one sentence."""


def tagalong(arguments: list[str]) -> int:
    """Runs it. What would go on for ever is stopped once it has begun; what would write to the system writes here."""
    binary, given = os.environ["TAGALONG_BINARY"], list(arguments)
    if given[:1] in (["serve"], ["demo"]):
        return begin(binary, given)
    if given[:1] == ["man"] and "--out" in given:
        given[given.index("--out") + 1] = "man"
    environment = os.environ | {"TAGALONG_ADMIN": os.environ["SIDECAR_ADMIN"]}
    if "--admin" in given:
        given[given.index("--admin") + 1] = os.environ["SIDECAR_ADMIN"]
    # What the package installs there is what this page has here.
    given = [one.replace("/etc/tagalong/", "./") for one in given]
    given = [stored_key() if re.fullmatch(r"[0-9a-f]{32}", one) else one for one in given]
    if "--follow" not in given:
        return subprocess.run([binary, *given], env=environment).returncode
    try:
        subprocess.run([binary, *given], env=environment, timeout=HELD_UP)
        raise Wrong("it ended, and should follow")
    except subprocess.TimeoutExpired:
        return 0


def begin(binary: str, given: list[str]) -> int:
    """`serve` and `demo`: until they say that they listen, on free ports; then they must end as they should."""
    if given[0] == "demo":
        given = ["demo", "--port", "0"]
    else:
        named = False
        for number, option in enumerate(given[:-1]):
            if option in ("--listen", "--admin-listen") and not given[number + 1].startswith("unix:"):
                given[number + 1] = re.sub(r":\d+$", ":0", given[number + 1])
                named = named or option == "--listen"
        given += [] if named else ["--listen", "127.0.0.1:0"]
    process = subprocess.Popen([binary, *given], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    said = []
    for line in process.stdout:
        said.append(line)
        if "listening on" in line or line.startswith("Ctrl-C"):
            process.terminate()
    code = process.wait(30)
    if code or not said:
        raise Wrong(f"it ended with {code}: {''.join(said)}")
    return 0


def stored_key() -> str:
    """The key of something that is stored in the sidecar of the page, in place of one that was made up for it."""
    url = f"{os.environ['SIDECAR_CLIENT']}/users/42"
    subprocess.run([os.environ["CURL"], "-s", "-o", "/dev/null", "-H", "Host: shop.example", url], check=True, timeout=30)
    listed = [os.environ["TAGALONG_BINARY"], "entries", "--json", "--limit", "1", "--admin", os.environ["SIDECAR_ADMIN"]]
    deadline = time.monotonic() + 10  # it is stored once its body has ended, which may be after its client has it
    while time.monotonic() < deadline:
        done = subprocess.run(listed, capture_output=True, text=True, check=True, timeout=30)
        if done.stdout:
            return json.loads(done.stdout.splitlines()[0])["key"]
        time.sleep(0.01)
    raise Wrong("nothing is stored in the sidecar of the page")


# Statuses that are meant, by method and path of the admin interface.
MEANT = {
    ("GET", "/v1/objects/{key}"): {404},  # shown where nothing is stored yet
    ("PUT", "/v1/objects/{key}"): {201, 204, 422},  # with `Tagalong-Token: …` in place of a token
}


def curl(arguments: list[str]) -> int:
    """Runs it against the sidecar and the app of the page. Calls of the admin interface must be described, and done."""
    given = [local(one) for one in arguments]
    urls = [one for one in given if re.match(r"https?://", one)]
    for url in urls:
        if not url.startswith((os.environ["SIDECAR_ADMIN"], os.environ["SIDECAR_CLIENT"], os.environ["APP"])):
            raise Wrong(f"{url}: what is called is neither the sidecar nor the app")
    heads = Path(f".heads-{os.getpid()}")
    done = subprocess.run([os.environ["CURL"], *given, "-D", heads, "--max-time", "10" if "-N" not in given else str(HELD_UP)])
    status = [int(line.split()[1]) for line in heads.read_text().splitlines() if line.startswith("HTTP/")][-1] if heads.exists() else 0
    if done.returncode and not ("-N" in given and done.returncode == 28):
        raise Wrong(f"curl ended with {done.returncode}")
    for url in urls:
        if url.startswith(os.environ["SIDECAR_ADMIN"]):
            path = "/" + url.removeprefix(os.environ["SIDECAR_ADMIN"]).lstrip("/").split("?")[0]
            told(method_of(given), path, status)
        elif status >= 400:
            raise Wrong(f"{url} is answered {status}")
    return 0


def local(argument: str) -> str:
    """An argument with the addresses and keys of the page's sidecar in place of the reader's."""
    for ports, address in (("9080", "SIDECAR_ADMIN"), ("808[0-2]", "SIDECAR_CLIENT"), ("8000", "APP")):
        argument = re.sub(rf"^http://(127\.0\.0\.1|localhost):{ports}\b", os.environ[address], argument)
    return re.sub(r"(/v1/entries/)[0-9a-f]{32}", lambda found: found[1] + stored_key(), argument)


def method_of(given: list[str]) -> str:
    for option in ("-X", "--request"):
        if option in given:
            return given[given.index(option) + 1]
    sends = any(one in ("-d", "--data", "--data-binary", "--json") for one in given)
    return "POST" if sends and not {"-G", "--get"} & set(given) else "GET"


def told(method: str, path: str, status: int) -> None:
    """A call of the admin interface: is it described in /openapi.json, and was it done?"""
    if path in ("/", "/openapi.json"):
        return
    for template, calls in description()["paths"].items():
        if re.fullmatch(re.sub(r"\\\{[^/]+\\\}", "[^/]+", re.escape(template)), path) and method.lower() in calls:
            if status >= 400 and status not in MEANT.get((method, template), set()):
                raise Wrong(f"{method} {path} is answered {status}")
            return
    raise Wrong(f"{method} {path} is not in /openapi.json")


def description() -> dict:
    """/openapi.json, asked for once on each page."""
    kept = Path(os.environ["HOME"], ".openapi.json")
    if not kept.exists():
        subprocess.run([os.environ["CURL"], "-sf", "-o", kept, os.environ["SIDECAR_ADMIN"] + "/openapi.json"], check=True, timeout=30)
    return json.loads(kept.read_text())


def make(arguments: list[str]) -> int:
    """Every target is one of the Makefile's, every variable is used."""
    text = (ROOT / "Makefile").read_text()
    users = text + "".join(path.read_text() for path in (ROOT / "tests").glob("*/run.*"))
    for argument in arguments:
        variable, assigned, _ = argument.partition("=")
        if assigned and not re.search(rf"\b{re.escape(variable)}\b", users):
            raise Wrong(f"nothing uses the variable {variable}")
        if not assigned and not argument.startswith("-") and not re.search(rf"^{re.escape(argument)}:", text, re.M):
            raise Wrong(f"the Makefile has no target {argument}")
    return 0


def cargo(arguments: list[str]) -> int:
    """What it is to build, test or install is there."""
    command, *rest = arguments
    manifest = (ROOT / "Cargo.toml").read_text()
    named = {option: value for option, value in zip(rest, rest[1:]) if option.startswith("--")}
    if command not in {"bench", "build", "clippy", "deb", "deny", "doc", "fmt", "fuzz", "install", "run", "test"}:
        raise Wrong(f"what is cargo {command}?")
    if "--path" in named and not (ROOT / named["--path"] / "Cargo.toml").is_file():
        raise Wrong(f"{named['--path']} is no package")
    if "--manifest-path" in named and not (ROOT / named["--manifest-path"]).is_file():
        raise Wrong(f"{named['--manifest-path']} is not there")
    if command == "bench" and f'[[bench]]\nname = "{named.get("--bench")}"' not in manifest:
        raise Wrong(f"there is no bench {named.get('--bench')}")
    if command == "install" and "--path" not in named and not all(known_package(one) for one in rest if not one.startswith("-")):
        raise Wrong("a package that nothing in this repository installs")
    if command == "test":
        words = [one for one in rest[: rest.index("--") if "--" in rest else None] if one != "--locked"]
        parts = ROOT / "src"
        if "--test" in words:
            parts = ROOT / "tests" / named["--test"]
        names = [one for one in words if not one.startswith("--") and one != named.get("--test")]
        for module in (one.strip(":").replace("::", "/") for one in names):
            if not (parts / f"{module}.rs").exists() and not (parts / module).exists():
                raise Wrong(f"there are no tests of {module}")
    return 0


def known_package(name: str) -> bool:
    """A package that files of this repository name, or that stands here."""
    if name.startswith(PATHS) or name == ".":
        return (ROOT / name).exists()
    if name.startswith("/path/to/tagalong/"):
        return (ROOT / name.removeprefix("/path/to/tagalong/")).exists()
    bare = re.split(r"[=<>@\[]", name)[0]
    files = [*ROOT.glob("**/requirements*.txt"), *ROOT.glob("*/*/pyproject.toml"), *ROOT.glob("*/*/package.json"), *ROOT.glob("*/*/*/package.json")]
    files += [ROOT / "scripts" / "setup.sh", ROOT / "Makefile"]
    return any(re.search(rf"(?<![\w-]){re.escape(bare)}(?![\w-])", file.read_text()) for file in files if "node_modules" not in file.parts)


def packages(arguments: list[str]) -> int:
    """npm, pip: what is installed is known here."""
    if arguments[:1] in (["install"], ["ci"], ["pack"]):
        after = {"--prefix", "-r", "--requirement"}
        for before, name in zip(arguments, arguments[1:]):
            if (before in after or not name.startswith("-")) and not known_package(name):
                raise Wrong(f"{name}: nothing in this repository knows of it")
    elif arguments[:1] not in (["init"], ["pkg"], ["run"], ["test"]):
        raise Wrong(f"what is {arguments[:1]}?")
    return 0


def interpreter(arguments: list[str]) -> int:
    """python, node: a file of this repository that is run is there. Others are the reader's own, or what a page has them write."""
    if arguments[:2] == ["manage.py", "tagalong"]:
        return manage(arguments[2:])
    if arguments and arguments[0].startswith(PATHS):
        return script(arguments)
    for file in arguments:
        if file.startswith(PATHS) and not (ROOT / file).exists():
            raise Wrong(f"{file} is not there")
    return 0


def manage(arguments: list[str]) -> int:
    """The command of the Django package, which its own tests run: its subcommands and options are there."""
    source = (ROOT / "clients/django/src/django_tagalong/management/commands/tagalong.py").read_text()
    command, *rest = arguments
    if f'add_parser("{command}"' not in source:
        raise Wrong(f"manage.py tagalong has no {command}")
    for option in rest:
        if option.startswith("-") and f'"{option}"' not in source:
            raise Wrong(f"manage.py tagalong has no {option}")
    return 0


def script(arguments: list[str]) -> int:
    """A program of this repository: it is there, may be run, and knows its options."""
    file, *rest = arguments
    if not (ROOT / file).is_file():
        raise Wrong(f"{file} is not there")
    source = (ROOT / file).read_text()
    for option in rest:
        if option.startswith("--") and option not in source:
            raise Wrong(f"{file} knows no {option}")
    if file == "scripts/venv.sh":
        print("python")  # it prints the path of one
    return 0


def executable(arguments: list[str]) -> int:
    """One that is called by its path."""
    if not os.access(ROOT / arguments[0], os.X_OK):
        raise Wrong(f"{arguments[0]} cannot be run")
    return script(arguments)


def behind(arguments: list[str]) -> int:
    """kubectl exec … -- COMMAND, sudo COMMAND: the command is looked at; the rest needs a cluster, or rights."""
    if "--" in arguments:
        return subprocess.run(arguments[arguments.index("--") + 1 :]).returncode
    return 0


def sudo(arguments: list[str]) -> int:
    return subprocess.run(arguments).returncode


def not_here(_: list[str]) -> int:
    return 0


# What is done in place of each program. Not run at all are those with `not_here`, because …
PROGRAMS = {
    "tagalong": tagalong,
    "curl": curl,
    "make": make,
    "cargo": cargo,
    "npm": packages,
    "pip": packages,
    "python": interpreter,
    "python3": interpreter,
    "node": interpreter,
    "script": executable,
    "kubectl": behind,
    "sudo": sudo,
    "gunicorn": not_here,  # … it is the reader's own app
    "git": not_here,  # … it needs the network
    "apt-get": not_here,  # … it changes the system
    "apt": not_here,
    "dpkg": not_here,
    "sudoedit": not_here,
    "systemctl": not_here,
    "journalctl": not_here,
    "docker": not_here,  # … it needs an engine; tests/packaging runs what the image is made of
    "helm": not_here,  # … it needs a cluster; tests/helm renders the chart
    "go": not_here,  # … it needs the network
    "redis-cli": not_here,  # … it is told to the reader's own store
    "redis-server": not_here,
    "ab": not_here,  # … it is load
    "wrk": not_here,
}


def main() -> int:
    program, *arguments = sys.argv[1:]
    place = f"{os.environ['PAGE']}:{os.environ.get('PAGE_LINE', '?')}"
    with Path(os.environ["CALLS"]).open("a") as calls:
        calls.write(f"{place}: {shlex.join([program, *arguments])}\n")
    try:
        return PROGRAMS[program](arguments)
    except (Wrong, subprocess.SubprocessError, OSError) as wrong:
        with Path(os.environ["FAILURES"]).open("a") as failures:
            failures.write(f"{place}: {shlex.join([program, *arguments])}: {wrong}\n")
        return 0  # told once is enough


if __name__ == "__main__":
    sys.exit(main())
