"""`manage.py tagalong`: what it asks, and how it ends."""

import io
import json
from contextlib import nullcontext
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from django_tagalong.management.commands.tagalong import Command

from .scripted import Reply, ScriptedAdmin

PURGES = [
    (["--tag", "User:42", "--tag", "Users"], {"tags": ["User:42", "Users"]}),
    (["--url", "http://shop.example/a"], {"url": "http://shop.example/a"}),
    (["--rule", "books"], {"rule": "books"}),
    (["--group", "books"], {"group": "books"}),
    (["--match", "*lang=de*"], {"match": "*lang=de*"}),
    (["--all"], {"all": True}),
    (["--all", "--soft"], {"all": True, "soft": True}),
]


@pytest.fixture
def admin(settings: Settings) -> Any:
    admin = ScriptedAdmin()
    settings.TAGALONG = {"ADMIN_URLS": admin.url, "RETRIES": 0, "TOKEN": "secret"}
    yield admin
    admin.close()


def answering(body: Any, status: int = 200) -> Any:
    return lambda call: Reply(status, body)


@pytest.mark.parametrize(("arguments", "asked"), PURGES, ids=str)
def test_j14_purge_names_one_thing(
    admin: ScriptedAdmin, arguments: list[str], asked: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    admin.answer = answering({"purged": 7})
    call_command("tagalong", "purge", *arguments, "--yes")
    assert [(call.path, call.json) for call in admin.calls] == [("/v1/purge", asked)]
    assert "purged: 7" in capsys.readouterr().out


def test_increment_refresh_and_tags_ask_for_what_they_are_given(
    admin: ScriptedAdmin, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("tagalong", "increment", "User:42", "Users", "--soft", "--again", "2")
    assert admin.calls[-1].json == {"tags": ["User:42", "Users"], "soft": True, "again": "2s"}
    pages = [
        {"refreshed": 1, "failed": 0, "skipped": 2, "cursor": "x"},
        {"refreshed": 3, "failed": 0, "skipped": 0, "cursor": None},
    ]
    admin.script = [Reply(body=page) for page in pages]
    call_command("tagalong", "refresh", "--tag", "Users", "--json")
    assert [call.json for call in admin.calls[-2:]] == [
        {"tags": ["Users"]},
        {"tags": ["Users"], "cursor": "x"},
    ]
    shown = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert shown == {"sidecar": admin.url, "refreshed": 4, "failed": 0, "skipped": 2}
    admin.answer = answering({"tag": "User:42", "version": 7})
    call_command("tagalong", "tags", "User:42")
    assert admin.calls[-1].path == "/v1/tags/User%3A42"
    assert "User:42: 7" in capsys.readouterr().out


def test_stats_tags_and_explain_show_what_is_answered(
    admin: ScriptedAdmin, capsys: pytest.CaptureFixture[str]
) -> None:
    admin.answer = answering({"totals": {"hits": 3}, "name": "x"})
    call_command("tagalong", "stats")
    assert "totals:\n    hits: 3\n  name: x" in capsys.readouterr().out
    call_command("tagalong", "tags")
    assert admin.calls[-1].path == "/v1/tags"
    call_command("tagalong", "explain", "http://shop.example/a", "-H", "Accept-Language: de", "-X", "HEAD")
    query = "method=HEAD&url=http%3A%2F%2Fshop.example%2Fa&header=Accept-Language%3A+de"
    assert admin.calls[-1].path == f"/v1/explain?{query}"
    call_command("tagalong", "explain", "http://a/", "-H", "Cookie: a=1", "-H", "Cookie: b=2")
    assert admin.calls[-1].path.endswith("header=Cookie%3A+a%3D1&header=Cookie%3A+b%3D2"), "both count"


def test_a_terminal_is_not_obeying_what_clients_have_sent(
    admin: ScriptedAdmin, capsys: pytest.CaptureFixture[str]
) -> None:
    admin.answer = answering({"tags": [{"tag": "\x1b[2J\u202e"}], "x\x07": "\r\n"})
    call_command("tagalong", "tags")
    out = capsys.readouterr().out
    assert all(c.isprintable() or c == "\n" for c in out)
    assert r"\x1b[2J\u202e" in out


def test_every_sidecar_is_told_though_one_is_away(
    admin: ScriptedAdmin, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.TAGALONG = {"ADMIN_URLS": ["http://127.0.0.1:9", admin.url], "RETRIES": 0, "TOKEN": "secret"}
    admin.answer = answering({"purged": None})
    with pytest.raises(CommandError) as failed:
        call_command("tagalong", "purge", "--all", "--yes")
    assert failed.value.returncode == 1
    assert len(admin.calls) == 1
    said = capsys.readouterr()
    assert said.err.count("http://127.0.0.1:9") == 1, "once is enough"
    assert said.err.startswith("http://127.0.0.1:9: cannot be reached: ")
    assert "secret" not in said.err + said.out


@pytest.mark.parametrize(
    ("answer", "arguments"),
    [
        (answering({"title": "No", "detail": "No."}, 422), ["purge", "--rule", "nothing"]),
        (answering({"refreshed": 1, "failed": 1, "skipped": 0, "cursor": None}), ["refresh", "--tag", "A"]),
    ],
)
def test_what_is_not_done_ends_with_1(admin: ScriptedAdmin, answer: Any, arguments: list[str]) -> None:
    admin.answer = answer
    with pytest.raises(CommandError) as failed:
        call_command("tagalong", *arguments)
    assert failed.value.returncode == 1


def test_what_was_not_counted_is_not_null(admin: ScriptedAdmin, capsys: pytest.CaptureFixture[str]) -> None:
    admin.answer = answering({"purged": None})
    call_command("tagalong", "purge", "--tag", "A")
    assert capsys.readouterr().out == f"{admin.url}:\n  purged: not counted\n"
    call_command("tagalong", "purge", "--tag", "A", "--json")
    assert json.loads(capsys.readouterr().out) == {"sidecar": admin.url, "purged": None}


def test_stats_have_buckets_in_json_only_and_rounded_seconds(
    admin: ScriptedAdmin, capsys: pytest.CaptureFixture[str]
) -> None:
    latency = {"hit": {"count": 1, "sum_seconds": 1.003920426, "buckets": [[0.00005, 0]]}}
    admin.answer = answering({"latency": latency})
    call_command("tagalong", "stats")
    assert capsys.readouterr().out.splitlines()[1:] == [
        "  latency:",
        "    hit:",
        "      count: 1",
        "      sum_seconds: 1.004",
    ]
    call_command("tagalong", "stats", "--json")
    assert json.loads(capsys.readouterr().out) == {"sidecar": admin.url, "latency": latency}


def test_lists_have_a_line_for_each_item(admin: ScriptedAdmin, capsys: pytest.CaptureFixture[str]) -> None:
    rule = {"rule": "", "not_stored": {"no-ttl": 1}, "tags": ["A", "B"], "load_seconds": 0.00295822}
    said = {"rules": [rule, {"rule": "a", "not_stored": {}}], "reasons": [], "tags": ["A", None]}
    admin.answer = answering(said)
    call_command("tagalong", "stats")
    assert capsys.readouterr().out.splitlines()[1:] == [
        "  rules:",
        '    - rule: "", not_stored: {no-ttl: 1}, tags: [A, B], load_seconds: 0.003',
        "    - rule: a, not_stored: none",
        "  reasons: none",
        "  tags:",
        "    - A",
        "    - none",
    ]


def test_explain_begins_with_the_answer(admin: ScriptedAdmin, capsys: pytest.CaptureFixture[str]) -> None:
    admin.answer = answering(
        {"plan": {"plan": "lookup"}, "answer": {"outcome": "hit", "why": "It is there."}}
    )
    call_command("tagalong", "explain", "http://a/")
    assert capsys.readouterr().out.splitlines()[1:] == [
        "  answer:",
        "    outcome: hit",
        "    why: It is there.",
        "  plan:",
        "    plan: lookup",
    ]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("typed", "is_done"), [("y\n", True), (" Yes\n", True), ("n\n", False), ("\n", False), ("", False)]
)
@pytest.mark.parametrize(
    ("arguments", "question", "wish"),
    [
        (["--all"], "everything that is stored", {"all": True}),
        (["--match", "*a\x1b*"], r"everything that matches *a\x1b*", {"match": "*a\x1b*"}),
    ],
    ids=["all", "match"],
)
def test_purge_of_what_may_be_much_asks_at_a_terminal(
    admin: ScriptedAdmin,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    question: str,
    wish: dict[str, Any],
    typed: str,
    is_done: bool,
) -> None:
    admin.answer = answering({"purged": None})
    monkeypatch.setattr("sys.stdin", Terminal(typed))
    asked = Terminal()
    with nullcontext() if is_done else pytest.raises(CommandError, match="nothing is purged"):
        call_command("tagalong", "purge", *arguments, stderr=asked, no_color=True)
    assert asked.getvalue() == f"Purge {question}, at {admin.url} and all its sidecars? [y/N] "
    assert [call.json for call in admin.calls] == [wish] * is_done


@pytest.mark.parametrize("answered", ["--yes", "-y", "--no-input"])
def test_who_has_said_yes_is_not_asked(
    admin: ScriptedAdmin, monkeypatch: pytest.MonkeyPatch, answered: str
) -> None:
    admin.answer = answering({"purged": None})
    monkeypatch.setattr("sys.stdin", Terminal(""))
    asked = Terminal()
    for what in (["--all"], ["--match", "*"]):
        call_command("tagalong", "purge", *what, answered, stderr=asked)
    assert (asked.getvalue(), len(admin.calls)) == ("", 2)


def test_a_pattern_without_a_terminal_is_purged(
    admin: ScriptedAdmin, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin.answer = answering({"purged": 1})
    monkeypatch.setattr("sys.stdin", io.StringIO())
    call_command("tagalong", "purge", "--match", "*")
    assert [call.json for call in admin.calls] == [{"match": "*"}]


def test_a_second_increment_out_of_bounds_is_told_its_bounds(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        Command().run_from_argv(["manage.py", "tagalong", "increment", "A", "--again", "0"])
    assert "a whole number of seconds from 1 to 86400 is expected, not '0'" in capsys.readouterr().err


@pytest.mark.parametrize(("stdin", "stderr"), [(io.StringIO, Terminal), (Terminal, io.StringIO)])
def test_purge_all_without_a_terminal_needs_yes(
    admin: ScriptedAdmin, monkeypatch: pytest.MonkeyPatch, stdin: Any, stderr: Any
) -> None:
    monkeypatch.setattr("sys.stdin", stdin("y\n"))
    with pytest.raises(CommandError, match="--yes") as refused:
        call_command("tagalong", "purge", "--all", stderr=stderr())
    assert (refused.value.returncode, admin.calls) == (2, [])


@pytest.mark.parametrize("setting", [{}, {"ENABLED": False, "ADMIN_URLS": "http://127.0.0.1:9"}])
def test_without_a_sidecar_there_is_nobody_to_ask(settings: Settings, setting: dict[str, Any]) -> None:
    settings.TAGALONG = setting
    with pytest.raises(CommandError) as failed:
        call_command("tagalong", "stats")
    assert failed.value.returncode == 1


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([], 2),
        (["nothing"], 2),
        (["purge"], 2),
        (["purge", "--all", "--tag", "A"], 2),
        (["increment"], 2),
        (["increment", "a b"], 2),
        (["increment", "~all"], 2),
        (["increment", "A", "--again", "0"], 2),
        (["refresh"], 2),
        (["explain"], 2),
        (["explain", "http://x/", "-H", "nothing"], 2),
        (["purge", "--all"], 2),
        (["purge", "--all", "--yes"], 1),
    ],
    ids=str,
)
def test_j14_wrong_arguments_end_with_2_and_a_sidecar_that_is_away_with_1(
    arguments: list[str], code: int, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.TAGALONG = {"ADMIN_URLS": "http://127.0.0.1:9", "RETRIES": 0}
    with pytest.raises(SystemExit) as ended:
        Command().run_from_argv(["manage.py", "tagalong", *arguments])
    assert ended.value.code == code
    assert capsys.readouterr().err
