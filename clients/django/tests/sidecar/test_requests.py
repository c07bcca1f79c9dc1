"""What a request has changed is seen by the next one, through a real sidecar, under gunicorn and uvicorn."""

import http.client
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote, urlsplit

import pytest

from django_tagalong import tag

from .conftest import Stack, Stacks
from .served import GUNICORN, SECONDS, UVICORN, ask, manage

HIT, INVALIDATED = "hit", "fwd=stale; stored; detail=invalidated"


def test_three_saves_are_one_increment_and_the_client_sees_no_header(stack: Stack) -> None:
    assert stack.keep("/users/100") == "nobody"
    direct = ask(f"{stack.app.url}/{stack.prefix}write/thrice/100", "POST", "Ann", passed_on=True)
    assert direct.lines("Cache-Tag-Increment") == ["User:100"]
    assert stack.get("/users/100").outcome == HIT  # nobody has told the sidecar yet
    written = stack.write("thrice", 100, "Bob")
    assert (written.text, written.lines("Cache-Tag-Increment")) == ("written", [])
    page = stack.get("/users/100")
    assert (page.outcome, page.text, page.lines("Cache-Tag")) == (INVALIDATED, "Bob", [])


def test_a_write_that_went_round_the_sidecar_is_seen_all_the_same(stack: Stack) -> None:
    stack.keep("/users/110")
    assert ask(f"{stack.app.url}/{stack.prefix}write/save/110", "POST", "Ann").status == 200
    page = stack.get("/users/110")
    assert (page.outcome, page.text) == (INVALIDATED, "Ann")


@pytest.mark.parametrize(
    ("way", "status", "changed"),
    [
        ("save", 200, {0}),
        ("thrice-at-once", 200, {0}),
        ("roll-back", 200, set()),
        ("roll-back-inner", 200, {0, 2}),
        ("nest", 200, {0, 1, 2}),
        ("commit-and-raise", 500, {0}),
        ("thread", 200, {0}),
    ],
)
def test_what_was_committed_is_seen_and_nothing_else_is_forgotten(
    stack: Stack, way: str, status: int, changed: set[int]
) -> None:
    pk = 200 + 10 * list(WAYS).index(way)
    for n in range(3):
        stack.keep(f"/users/{pk + n}")
    assert stack.write(way, pk, "Ann").status == status
    pages = [stack.get(f"/users/{pk + n}") for n in range(3)]
    assert [page.outcome for page in pages] == [INVALIDATED if n in changed else HIT for n in range(3)]
    assert [page.text for page in pages] == ["Ann" if n in changed else "nobody" for n in range(3)]


WAYS = ("save", "thrice-at-once", "roll-back", "roll-back-inner", "nest", "commit-and-raise", "thread")


def test_each_database_has_transactions_of_its_own(stack: Stack) -> None:
    stack.keep("/users/300?using=other")
    stack.keep("/users/301")
    stack.write("elsewhere", 300, "Ann")
    assert stack.get("/users/300?using=other").text == "Ann"
    assert stack.get("/users/301").outcome == HIT


@pytest.mark.parametrize(("alias", "status", "outcome"), [("default", 500, HIT), ("other", 500, INVALIDATED)])
def test_with_atomic_requests_a_view_that_raises_has_changed_nothing(
    stacks: Stacks, alias: str, status: int, outcome: str
) -> None:
    stack = stacks.start(GUNICORN, TESTS_ATOMIC=alias)
    stack.keep("/users/1")
    stack.keep("/users/2")
    assert stack.write("commit-and-raise", 1, "Ann").status == status
    assert stack.get("/users/1").outcome == outcome
    assert stack.write("save", 2, "Bob").status == 200
    assert stack.get("/users/2").text == "Bob"


def test_five_thousand_changes_in_one_request_all_land(stack: Stack) -> None:
    some = range(0, 5000, 151)
    for pk in some:
        stack.keep(f"/users/{pk}?all")
    before = {pk: stack.client.tag(f"User:{pk}").version or 0 for pk in some}
    assert stack.write("many", 5000, "all").status == 200
    assert [pk for pk in some if (stack.client.tag(f"User:{pk}").version or 0) <= before[pk]] == []
    assert [pk for pk in some if stack.get(f"/users/{pk}?all").text != "all"] == []


def test_a_long_list_goes_out_in_several_lines(stack: Stack) -> None:
    direct = ask(f"{stack.app.url}/{stack.prefix}write/many/2000", "POST", "long", passed_on=True)
    lines = direct.lines("Cache-Tag-Increment")
    assert len(lines) > 1
    assert max(map(len, lines)) <= 4096
    assert ", ".join(lines).split(", ") == [f"User:{n}" for n in range(2000)]


def test_what_is_written_while_streaming_is_seen_before_the_stream_goes_on(stack: Stack) -> None:
    stack.keep("/users/400")
    parts = urlsplit(stack.sidecar.url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=SECONDS)
    connection.request("POST", f"/{stack.prefix}stream/400", b"Ann", {"Content-Type": "text/plain"})
    body = connection.getresponse()
    assert body.readline() == b"first\n"
    assert body.readline() == b"True\n"
    page = stack.get("/users/400")
    assert (page.outcome, page.text) == (INVALIDATED, "Ann")
    assert body.read() == b""
    connection.close()


def test_two_requests_that_take_turns_do_not_mix(uvicorn: Stack) -> None:
    with ThreadPoolExecutor(2) as pool:
        paths = ("/meet/Left/Right", "/meet/Right/Left")
        one, other = pool.map(lambda path: ask(uvicorn.app.url + path, passed_on=True), paths)
    assert one.lines("Cache-Tag-Increment") == ["Left:1, Left:2"]
    assert other.lines("Cache-Tag-Increment") == ["Right:1, Right:2"]


HOSTILE = [
    pytest.param("a,b", id="comma"),
    pytest.param("a;v=7", id="semicolon"),
    pytest.param('say "hi"', id="quotes"),
    pytest.param("100% & more", id="percent"),
    pytest.param("%2C", id="encoded comma"),
    pytest.param("a@b.example", id="at"),
    pytest.param("  two  spaces ", id="spaces"),
    pytest.param("tab\there", id="tab"),
    pytest.param("a\r\nCache-Tag-Increment: ~all", id="CR LF"),
    pytest.param("nul\x00\x1b\x7f", id="control characters"),
    pytest.param("Grüße, 日本語 🎉", id="unicode"),
    pytest.param("\x85\xa0\u2028\u3000x", id="white space of Unicode"),
    pytest.param("a:b:c", id="colons"),
    pytest.param("a+b", id="plus"),
    pytest.param("~all", id="tilde"),
    pytest.param("a/../b?c#d", id="path"),
    pytest.param("é" * 500, id="long"),
]


def named(stack: Stack, rule: str, path: str) -> set[str]:
    """The tags of the entry of this path that the sidecar has not made itself."""
    explained = stack.client.explain(stack.sidecar.url + path)
    assert explained["plan"]["rule"] == rule
    return {it["tag"] for it in explained["stored"]["tags"] if not it["tag"].startswith("~")}


@pytest.mark.parametrize("value", HOSTILE)
def test_a_tag_is_spelled_alike_by_the_app_and_by_a_rule(stack: Stack, value: str) -> None:
    query = f"value={quote(value, safe='')}"
    stack.keep(f"/value?{query}&tagged")
    assert named(stack, "values", f"/value?{query}&tagged") == {tag("Value", value)}
    stack.keep(f"/value?{query}")
    stack.keep(f"/untold/value?{query}&tagged")
    stack.get("/value?value=another")
    assert stack.post(f"/untold/value?{query}").status == 200
    assert stack.get(f"/value?{query}").outcome == INVALIDATED
    assert stack.get(f"/untold/value?{query}&tagged").outcome == INVALIDATED
    assert stack.get("/value?value=another").outcome == HIT


@pytest.mark.parametrize("value", ["a b", "Grüße", "100%", "a:b", 'x,";@'])
def test_a_tag_is_spelled_alike_where_the_rule_has_it_from_the_path(stack: Stack, value: str) -> None:
    path = f"/value/{quote(value, safe='')}"
    stack.keep(path)
    stack.keep(path + "?tagged")
    assert named(stack, "values-in-path", path + "?tagged") == {tag("Value", value)}
    assert stack.post("/untold/value?value=" + quote(value, safe="")).status == 200
    assert stack.get(path).outcome == INVALIDATED


@pytest.mark.parametrize(("one", "second"), [("1", "2"), ("a,b", "c d"), ("ü", "x:y"), ("", "")])
def test_a_tag_of_several_parts_is_that_of_a_template_with_several(
    stack: Stack, one: str, second: str
) -> None:
    pair = f"value={quote(one, safe='')}&second={quote(second, safe='')}"
    stack.keep(f"/value?{pair}&pair")
    stack.keep(f"/pair?{pair}")
    stack.client.increment([tag("Pair", one, second)])
    assert stack.get(f"/pair?{pair}").outcome == INVALIDATED


def test_a_change_of_attributes_forgets_what_is_filtered_by_them(stack: Stack) -> None:
    for shelf in ("a", "b", "c", "é"):
        stack.keep(f"/shelves?shelf={quote(shelf)}")
    stack.write("change", 1, "é")
    outcomes = [stack.get(f"/shelves?shelf={quote(shelf)}").outcome for shelf in ("a", "b", "c", "é")]
    assert outcomes == [INVALIDATED, HIT, HIT, INVALIDATED]


def test_soft_and_repeated_increments_are_what_they_are_named(stack: Stack) -> None:
    stack.keep("/users/500")
    stack.keep("/users/501")
    stack.write("softly", 500, "Ann")
    assert stack.get("/users/500").outcome == "hit; detail=invalidated"
    assert stack.get("/users/501").outcome == INVALIDATED
    end = time.monotonic() + SECONDS
    outcome = HIT
    while outcome == HIT and time.monotonic() < end:
        time.sleep(0.05)
        outcome = stack.get("/users/501").outcome
    assert outcome == INVALIDATED


@pytest.mark.parametrize("tags", [256, 257, 5000])
def test_too_many_tags_are_a_page_that_is_whole_and_not_stored(stack: Stack, tags: int) -> None:
    pages = [stack.get(f"/tags/{tags}") for _ in range(2)]
    assert {(page.status, page.text) for page in pages} == {(200, "tags")}
    assert (pages[1].outcome == HIT) is (tags <= 256)


def test_a_shell_makes_one_call_after_its_commit(gunicorn: Stack) -> None:
    gunicorn.keep("/users/600")
    gunicorn.keep("/users/601")
    before = len(gunicorn.client.audit().records)
    said = manage(
        gunicorn.app.environment, "shell", "-c", "from tests.app import views; views.nest(600, 'Ann')"
    )
    assert "ERROR" not in said
    assert len(gunicorn.client.audit().records) == before + 1
    assert [gunicorn.get(f"/users/{pk}").text for pk in (600, 601)] == ["Ann", "Ann"]


@pytest.mark.parametrize("server", [GUNICORN, UVICORN], ids=["gunicorn", "uvicorn"])
def test_a_sidecar_that_is_away_breaks_no_request_and_no_shell(stacks: Stacks, server: list[str]) -> None:
    stack = stacks.start(server)
    stack.sidecar.stop()
    prefix = f"{stack.app.url}/{stack.prefix}"
    for way in ("save", "nest", "thread", "roll-back"):
        assert ask(f"{prefix}write/{way}/1", "POST", way).status == 200
    many = ask(f"{prefix}write/many/5000", "POST", "many")
    assert (many.status, many.lines("X-LiteSpeed-Purge")) == (200, ["*"])
    assert ask(f"{prefix}stream/1", "POST", "streamed").text == "first\nFalse\n"
    assert ask(f"{stack.app.url}/users/1").text == "streamed"
    said = manage(stack.app.environment, "shell", "-c", "from tests.app import views; views.save(1, 'shell')")
    for log in (said, stack.app.log):
        assert "was not told that" in log
        assert "User:1" in log
        assert stack.sidecar.token not in log
    assert ask(f"{stack.app.url}/users/1").text == "shell"


@pytest.mark.parametrize(("at_once", "seen"), [(False, "nobody"), (True, "Ann")])
def test_what_a_worker_has_committed_that_dies_before_it_answers_is_known_only_if_it_was_told_at_once(
    stacks: Stacks, at_once: bool, seen: str
) -> None:
    stack = stacks.start(GUNICORN, {"AT_ONCE": at_once})
    stack.keep("/users/1")
    assert stack.write("commit-and-die", 1, "Ann").status == 502
    assert stack.get("/users/1").text == seen
    assert ask(f"{stack.app.url}/users/1").text == "Ann"


def test_of_many_writers_at_once_each_reads_what_it_has_written(stack: Stack) -> None:
    writers = range(700, 704)
    for pk in writers:
        stack.write("save", pk, "before")
        stack.keep(f"/users/{pk}")

    def write_and_read(pk: int) -> list[tuple[int, str, str]]:
        rounds = []
        for n in range(10):
            status = stack.write("update", pk, f"{pk}, {n}").status
            rounds.append((status, f"{pk}, {n}", stack.get(f"/users/{pk}").text))
        return rounds

    with ThreadPoolExecutor(len(writers)) as pool:
        rounds = [it for several in pool.map(write_and_read, writers) for it in several]
    assert [it for it in rounds if it[0] != 200 or it[1] != it[2]] == []
