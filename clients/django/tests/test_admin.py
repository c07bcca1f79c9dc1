"""The pages in Django's admin: who may purge and see what was done, and what is asked of the sidecars."""

from io import StringIO
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from .scripted import Call, Reply, ScriptedAdmin

pytestmark = pytest.mark.django_db

PAGE = "/admin/django_tagalong/sidecar/"
PURGE = f"{PAGE}purge/"
RECORD = {
    "id": "1",
    "at": "2026-11-29T13:50:28.974Z",
    "who": "<script>who</script>",
    "sidecar": "vm:1",
    "what": "purge",
    "target": {"tags": ["a", "<b>"]},
    "effect": {"purged": None},
    "status": 200,
}


def sidecar(call: Call) -> Reply:
    """Forgets all but the group `nope`; has one record, and another page."""
    if call.method == "GET":
        return Reply(body={"audit": [RECORD], "cursor": "m 1&x"})
    if call.json.get("group") == "nope":
        return Reply(422, {"title": "Unprocessable", "status": 422, "detail": "`group`: there is <none>."})
    return Reply(body={"purged": 3 if "match" in call.json else None})


@pytest.fixture
def told(told: ScriptedAdmin) -> ScriptedAdmin:
    told.answer = sidecar
    return told


def purges(told: ScriptedAdmin) -> list[Any]:
    return [call.json for call in told.calls if call.path == "/v1/purge"]


def someone(*permissions: str, staff: bool = True) -> Client:
    """The browser of somebody with these permissions."""
    user = User.objects.create_user("someone", is_staff=staff)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    browser = Client()
    browser.force_login(user)
    return browser


def shown(response: Any) -> str:
    return str(response.content.decode())


@pytest.mark.parametrize(
    ("wish", "asked"),
    [
        ({"target": "tags", "value": "User:42\r\n Books \r\n\r\nBooks"}, {"tags": ["User:42", "Books"]}),
        ({"target": "url", "value": "https://shop.example/a?b=1"}, {"url": "https://shop.example/a?b=1"}),
        ({"target": "rule", "value": "books"}, {"rule": "books"}),
        ({"target": "group", "value": "books"}, {"group": "books"}),
        ({"target": "match", "value": "*lang=de*"}, {"match": "*lang=de*"}),
        ({"target": "all"}, {"all": True}),
        ({"target": "group", "value": "books", "soft": "on"}, {"group": "books", "soft": True}),
    ],
)
def test_staff_who_may_purge_what_they_have_confirmed(
    told: ScriptedAdmin, wish: dict[str, str], asked: dict[str, Any]
) -> None:
    browser = someone("purge_sidecar")
    confirm = browser.post(PURGE, wish)
    assert "Forget this?" in shown(confirm)
    assert purges(told) == []
    # What the page of confirmation holds is what its form sends.
    form = confirm.context["form"]
    sent = {name: value for name, value in form.data.items() if name in form.fields}
    assert sent == wish
    done = browser.post(PURGE, {**sent, "confirmed": "yes"}, follow=True)
    assert purges(told) == [asked]
    assert "Forgotten at" in shown(done)


def test_the_hidden_fields_of_the_confirmation_hold_what_was_asked(told: ScriptedAdmin) -> None:
    page = shown(someone("purge_sidecar").post(PURGE, {"target": "tags", "value": 'a\n"b"', "soft": "on"}))
    assert '<input type="hidden" name="target" value="tags"' in page
    assert 'value="a\n&quot;b&quot;"' in page.replace("\r\n", "\n")
    assert '<input type="hidden" name="soft" value="True"' in page or 'name="soft" value="on"' in page


@pytest.mark.parametrize(
    ("permissions", "staff", "status"),
    [
        pytest.param((), True, 403, id="staff_without_permission"),
        pytest.param(("view_sidecar",), True, 403, id="staff_who_may_only_see"),
        pytest.param(("purge_sidecar", "view_sidecar"), False, 302, id="not_staff"),
    ],
)
def test_others_are_refused(
    told: ScriptedAdmin, permissions: tuple[str, ...], staff: bool, status: int
) -> None:
    browser = someone(*permissions, staff=staff)
    refused = browser.post(PURGE, {"target": "all", "confirmed": "yes"})
    assert refused.status_code == status
    assert told.calls == []


def test_who_is_not_logged_in_is_sent_to_the_login(told: ScriptedAdmin) -> None:
    for refused in (Client().get(PAGE), Client().post(PURGE, {"target": "all", "confirmed": "yes"})):
        assert refused.status_code == 302
        assert refused["Location"].startswith(reverse("admin:login"))
    assert told.calls == []


def test_a_page_elsewhere_cannot_purge(told: ScriptedAdmin) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(User.objects.create_superuser("root"))
    assert browser.post(PURGE, {"target": "all", "confirmed": "yes"}).status_code == 403
    assert browser.get(PURGE, {"target": "all", "confirmed": "yes"}).status_code == 405
    assert told.calls == []


def test_pages_show_each_what_they_may_see(told: ScriptedAdmin) -> None:
    page = shown(someone("view_sidecar").get(PAGE))
    assert "What was done at" in page
    assert PURGE not in page
    User.objects.all().delete()
    told.calls.clear()
    page = shown(someone("purge_sidecar").get(PAGE))
    assert PURGE in page
    assert "What was done at" not in page
    assert told.calls == []
    User.objects.all().delete()
    assert someone().get(PAGE).status_code == 403


def test_the_index_links_to_the_page_for_those_who_may_see_it(told: ScriptedAdmin) -> None:
    assert PAGE in shown(someone("purge_sidecar").get("/admin/"))
    User.objects.all().delete()
    assert PAGE not in shown(someone().get("/admin/"))


def test_what_was_done_is_shown_escaped_and_page_by_page(told: ScriptedAdmin) -> None:
    browser = someone("view_sidecar")
    page = shown(browser.get(PAGE))
    assert "&lt;script&gt;who&lt;/script&gt;" in page
    assert "tags: a, &lt;b&gt;" in page
    assert "<script>who" not in page
    assert 'href="?sidecar=0&amp;cursor=m%201%26x"' in page
    browser.get(PAGE, {"sidecar": "0", "cursor": "m 1&x"})
    assert [call.path for call in told.calls] == ["/v1/audit?limit=50", "/v1/audit?limit=50&cursor=m+1%26x"]


@pytest.mark.parametrize(
    "wish",
    [
        {},
        {"target": "nobody", "value": "x"},
        {"target": "tags"},
        {"target": "tags", "value": " \n "},
        {"target": "url", "value": "https://a.example/\nhttps://b.example/"},
        {"target": "all", "value": "Books"},
        {"target": "rule", "value": "a\0b"},
    ],
)
def test_what_cannot_be_meant_is_not_confirmed(told: ScriptedAdmin, wish: dict[str, str]) -> None:
    page = someone("purge_sidecar").post(PURGE, {**wish, "confirmed": "yes"})
    assert page.status_code == 200
    assert "errorlist" in shown(page)
    assert purges(told) == []


def test_what_is_asked_for_is_shown_escaped(told: ScriptedAdmin) -> None:
    page = shown(someone("purge_sidecar").post(PURGE, {"target": "tags", "value": "<script>x</script>"}))
    assert "&lt;script&gt;x" in page
    assert "<script>x" not in page


def test_of_very_many_tags_some_are_shown_and_all_are_sent(told: ScriptedAdmin) -> None:
    browser = someone("purge_sidecar")
    wish = {"target": "tags", "value": "\n".join(f"Tag:{n}" for n in range(500))}
    assert "and 480 more" in shown(browser.post(PURGE, wish))
    browser.post(PURGE, {**wish, "confirmed": "yes"})
    assert len(purges(told)[0]["tags"]) == 500


def test_what_the_sidecar_refuses_is_shown_escaped(told: ScriptedAdmin) -> None:
    wish = {"target": "group", "value": "nope", "confirmed": "yes"}
    page = shown(someone("purge_sidecar").post(PURGE, wish, follow=True))
    assert f"Not forgotten at {told.url}: group nope." in page
    assert "there is &lt;none&gt;" in page


def test_a_sidecar_that_is_away_breaks_no_page(settings: Settings, nobody: str) -> None:
    settings.TAGALONG = {"ADMIN_URLS": nobody, "RETRIES": 0}
    browser = someone("purge_sidecar", "view_sidecar")
    page = browser.post(PURGE, {"target": "all", "confirmed": "yes"}, follow=True)
    assert page.status_code == 200
    assert f"Not forgotten at {nobody}: everything. cannot be reached: " in shown(page)
    assert "errornote" in shown(page)
    (entry,) = LogEntry.objects.all()
    assert entry.change_message.count(nobody) == 1


@pytest.mark.parametrize("setting", [{}, {"ENABLED": False, "ADMIN_URLS": "http://127.0.0.1:9"}])
def test_without_a_sidecar_the_page_says_so(settings: Settings, setting: dict[str, Any]) -> None:
    settings.TAGALONG = setting
    browser = someone("purge_sidecar", "view_sidecar")
    assert "There is no sidecar to ask" in shown(browser.get(PAGE))
    page = browser.post(PURGE, {"target": "all", "confirmed": "yes"}, follow=True)
    assert "Nothing was forgotten" in shown(page)


def test_each_of_several_sidecars_is_told(told: ScriptedAdmin, settings: Settings, nobody: str) -> None:
    settings.TAGALONG = {"ADMIN_URLS": [nobody, told.url], "RETRIES": 0}
    browser = someone("purge_sidecar")
    page = shown(browser.post(PURGE, {"target": "match", "value": "*x*", "confirmed": "yes"}, follow=True))
    assert f"Not forgotten at {nobody}: match *x*." in page
    assert f"Forgotten at {told.url}: match *x* (3)." in page
    assert purges(told) == [{"match": "*x*"}]


def test_who_purged_what_is_written_down(told: ScriptedAdmin) -> None:
    someone("purge_sidecar").post(PURGE, {"target": "group", "value": "books", "confirmed": "yes"})
    (entry,) = LogEntry.objects.all()
    assert entry.user.get_username() == "someone"
    assert entry.change_message == f"Purge of group books: {told.url}: done"
    assert entry.get_admin_url() is None


def test_the_token_is_on_no_page(told: ScriptedAdmin, settings: Settings) -> None:
    settings.TAGALONG = {"ADMIN_URLS": told.url, "TOKEN": "very-secret"}
    browser = someone("purge_sidecar", "view_sidecar")
    done = browser.post(PURGE, {"target": "group", "value": "nope", "confirmed": "yes"}, follow=True)
    assert told.calls[0].headers["Authorization"] == "Bearer very-secret"
    assert "very-secret" not in shown(browser.get(PAGE)) + shown(done)


def test_there_is_nothing_to_migrate_and_no_table() -> None:
    said = StringIO()
    call_command("makemigrations", check=True, dry_run=True, stdout=said)
    assert "No changes" in said.getvalue()
    assert "django_tagalong_sidecar" not in connection.introspection.table_names()
    assert set(
        Permission.objects.filter(content_type__app_label="django_tagalong").values_list(
            "codename", flat=True
        )
    ) == {
        "purge_sidecar",
        "view_sidecar",
    }


@pytest.mark.parametrize("use_base_manager", [False, True])
def test_dumping_all_data_finds_no_table_missing(use_base_manager: bool) -> None:
    said = StringIO()
    call_command("dumpdata", "django_tagalong", "auth", use_base_manager=use_base_manager, stdout=said)
    assert "django_tagalong.sidecar" not in said.getvalue()
