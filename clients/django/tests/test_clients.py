"""The clients of the admin interfaces: made in one place, and kept."""

from pytest_django import Settings

from django_tagalong import clients, objects

from .scripted import Reply, ScriptedAdmin


def test_each_admin_interface_of_the_setting_has_one_client_that_is_kept(settings: Settings) -> None:
    settings.TAGALONG = {"ADMIN_URLS": ["http://127.0.0.1:9", "http://127.0.0.1:10"]}
    first, second = clients.each()
    assert (first.url, second.url) == ("http://127.0.0.1:9", "http://127.0.0.1:10")
    assert clients.each() == [first, second]
    settings.TAGALONG = {"ADMIN_URLS": ["http://127.0.0.1:10"], "TIMEOUT": 1}
    [other] = clients.each()
    assert other not in (first, second), "it has another patience"
    for none in ({}, {"ENABLED": False, "ADMIN_URLS": "http://127.0.0.1:9"}):
        settings.TAGALONG = none
        assert (clients.each(), clients.first(1)) == ([], None)


def test_what_keeps_clients_shows_no_token(settings: Settings) -> None:
    settings.TAGALONG = {"ADMIN_URLS": ["http://127.0.0.1:9"], "TOKEN": "a-secret"}
    assert len(clients.each()) == 1
    assert "a-secret" not in repr(clients._kept)


def test_values_are_asked_for_by_a_client_of_the_same_place(told: ScriptedAdmin) -> None:
    told.answer = lambda _: Reply(404, {}, {"Tagalong-Token": "1"})
    objects.get("k")
    objects.get("k")
    assert [call.connection for call in told.calls] == [1, 1]
    clients.close()
    objects.get("k")
    assert [call.connection for call in told.calls] == [1, 1, 2], "it was closed with all others"
