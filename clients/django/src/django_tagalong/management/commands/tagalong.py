"""`manage.py tagalong`: what operators and deployments ask of the sidecars that `TAGALONG` names.

Of several that share no store each is told, and each is shown. Ends with 0 where all of it was done, 1 where
something was not, 2 where the arguments are wrong. Decides nothing about what is forgotten; that is the
sidecar's.
"""

import json
import sys
from argparse import ArgumentTypeError
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from django_tagalong import clients, conf
from django_tagalong.client import Client, Refreshed, SidecarError
from django_tagalong.increments import MAX_AGAIN
from django_tagalong.tags import check


class Command(BaseCommand):
    """Forgets, refreshes and shows what the sidecars have stored."""

    help = "Forgets, refreshes and shows what the Tagalong sidecars have stored."
    requires_system_checks: list[str] = []  # pages are purged in any state of the app

    def add_arguments(self, parser: Any) -> None:
        commands = parser.add_subparsers(dest="what", required=True, metavar="COMMAND")
        purge = commands.add_parser("purge", help="forget what exactly one option names")
        target = purge.add_mutually_exclusive_group(required=True)
        target.add_argument(
            "--tag", action="append", metavar="TAG", help="what has this tag; may be repeated"
        )
        target.add_argument("--url", help="an absolute URL, as the sidecar sees it")
        target.add_argument("--rule", metavar="ID", help="the responses of a rule")
        target.add_argument("--group", metavar="NAME", help="one of the sidecar's purge_groups")
        target.add_argument("--match", metavar="GLOB", help="logical keys; looks at all that is stored")
        target.add_argument("--all", action="store_true", help="everything of the namespace")
        purge.add_argument("--soft", action="store_true", help="it may be served while it is fetched again")
        purge.add_argument(
            "-y", "--yes", "--no-input", action="store_true", help="do not ask before --all and --match"
        )
        increment = commands.add_parser("increment", help="give tags new versions")
        increment.add_argument("tag", nargs="+")
        increment.add_argument("--soft", action="store_true", help="old responses may be served for a while")
        increment.add_argument("--again", type=_seconds, metavar="SECONDS", help="and once more, later")
        refresh = commands.add_parser("refresh", help="fetch again now")
        what = refresh.add_mutually_exclusive_group(required=True)
        what.add_argument("--tag", action="append", metavar="TAG")
        what.add_argument("--url")
        tags = commands.add_parser("tags", help="versions of tags; without any, those incremented most")
        tags.add_argument("tag", nargs="*")
        commands.add_parser("stats", help="the sidecar in numbers")
        explain = commands.add_parser("explain", help="what a request would be answered with, and why")
        explain.add_argument("url")
        explain.add_argument("-X", "--method", default="GET")
        explain.add_argument("-H", "--header", action="append", default=[], metavar="NAME: VALUE")
        for one in commands.choices.values():
            one.add_argument("--json", action="store_true", help="as JSON, a document for each sidecar")

    def handle(self, *args: Any, **options: Any) -> None:
        ask = _QUESTIONS[options["what"]](options)
        if not conf.get().enabled:
            raise CommandError("TAGALONG['ENABLED'] is off: no sidecar is asked")
        asked = clients.each()
        if not asked:
            raise CommandError("TAGALONG['ADMIN_URLS'] is empty: there is no sidecar to ask")
        if options["what"] == "purge" and not options["yes"]:
            self._confirm(asked, options)
        # Each is asked, whatever became of the one before.
        done = [self._ask(client, ask, options) for client in asked]
        if not all(done):
            raise CommandError("not all of it was done")

    def _confirm(self, asked: Sequence[Client], options: Mapping[str, Any]) -> None:
        """Asks at the terminal whether everything, or what matches, is meant; but a yes all is a no."""
        if not options["all"] and options["match"] is None:
            return
        if not (sys.stdin.isatty() and self.stderr.isatty()):
            if not options["all"]:
                return
            raise CommandError(
                "to purge everything, say so with --yes: there is no terminal to ask at", returncode=2
            )
        what = "is stored" if options["all"] else f"matches {_printable(options['match'])}"
        where = ", ".join(client.url for client in asked)
        question = f"Purge everything that {what}, at {where} and all its sidecars? [y/N]"
        self.stderr.write(question, str, ending=" ")
        self.stderr.flush()
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            raise CommandError("nothing is purged")

    def _ask(self, client: Client, ask: Callable[[Client], Any], options: Mapping[str, Any]) -> bool:
        try:
            said = ask(client)
        except SidecarError as error:
            self.stderr.write(f"{client.url}: {error}")
            return False
        if options["json"]:
            self.stdout.write(json.dumps({"sidecar": client.url, **said}))
        else:
            self.stdout.write(f"{client.url}:")
            self._show(_for_people(said))
        return not said.get("failed")

    def _show(self, said: Mapping[str, Any], indent: str = "  ") -> None:
        for name, value in said.items():
            if isinstance(value, Mapping) and value:
                self.stdout.write(f"{indent}{_printable(name)}:")
                self._show(value, indent + "  ")
            elif isinstance(value, list | tuple) and value:
                self.stdout.write(f"{indent}{_printable(name)}:")
                for item in value:
                    self.stdout.write(f"{indent}  - {_line(item)}")
            elif name == "purged" and value is None:
                self.stdout.write(f"{indent}purged: not counted")
            else:
                self.stdout.write(f"{indent}{_printable(name)}: {_line(value)}")


def _for_people(said: Mapping[str, Any]) -> Mapping[str, Any]:
    """What is asked for comes first, and what only programs read is left out."""
    first = {"answer": said["answer"]} if "answer" in said else {}
    return {**first, **_without_buckets(said)}


def _without_buckets(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _without_buckets(it) for name, it in value.items() if name != "buckets"}
    return value


def _line(value: object) -> str:
    """A value in one line."""
    if isinstance(value, Mapping) and value:
        return ", ".join(f"{_printable(name)}: {_inner(it)}" for name, it in value.items())
    if isinstance(value, list | tuple) and value:
        return ", ".join(_inner(it) for it in value)
    if value is None or isinstance(value, Mapping | list | tuple):
        return "none"
    if isinstance(value, float):
        return str(round(value, 3))  # seconds, all of them
    return _printable(value or '""') if isinstance(value, str) else json.dumps(value)


def _inner(value: object) -> str:
    if isinstance(value, Mapping) and value:
        return f"{{{_line(value)}}}"
    if isinstance(value, list | tuple) and value:
        return f"[{_line(value)}]"
    return _line(value)


def _printable(text: str) -> str:
    """Keys and tags are what clients have sent: a terminal must not obey them."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _purge(options: Mapping[str, Any]) -> Callable[[Client], Any]:
    named = {name: options[name] for name in ("url", "rule", "group", "match")}
    purge = {**named, "tags": options["tag"], "all": options["all"] or None, "soft": options["soft"]}
    return lambda client: {"purged": client.purge(**purge)}


def _increment(options: Mapping[str, Any]) -> Callable[[Client], Any]:
    tags = _checked(options["tag"])
    return lambda client: asdict(client.increment(tags, options["soft"], options["again"]))


def _refresh(options: Mapping[str, Any]) -> Callable[[Client], Any]:
    def all_of_it(client: Client) -> Any:
        done = failed = skipped = 0
        cursor = None
        while True:
            page: Refreshed = client.refresh(url=options["url"], tags=options["tag"], cursor=cursor)
            done, failed, skipped = done + page.refreshed, failed + page.failed, skipped + page.skipped
            cursor = page.cursor
            if cursor is None:
                return {"refreshed": done, "failed": failed, "skipped": skipped}

    return all_of_it


def _tags(options: Mapping[str, Any]) -> Callable[[Client], Any]:
    if not options["tag"]:
        return Client.tags
    return lambda client: {name: client.tag(name).version for name in options["tag"]}


def _stats(options: Mapping[str, Any]) -> Callable[[Client], Any]:
    return Client.stats


def _explain(options: Mapping[str, Any]) -> Callable[[Client], Any]:
    headers = [_header(line) for line in options["header"]]
    return lambda client: client.explain(options["url"], options["method"], headers)


_QUESTIONS = {
    "purge": _purge,
    "increment": _increment,
    "refresh": _refresh,
    "tags": _tags,
    "stats": _stats,
    "explain": _explain,
}


def _checked(tags: list[str]) -> list[str]:
    try:
        return [check(tag) for tag in tags]
    except ValueError as error:
        raise CommandError(str(error), returncode=2) from error


def _header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon or not name.strip():
        raise CommandError(f"{line!r} is no header: `Name: value` is expected", returncode=2)
    return name.strip(), value.strip()


def _seconds(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MAX_AGAIN:
        raise ArgumentTypeError(f"a whole number of seconds from 1 to {MAX_AGAIN} is expected, not {text!r}")
    return int(text)
