"""The setting, and the system checks of it and of the middleware's place."""

from typing import Any

import pytest
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from pytest_django import Settings

from django_tagalong import conf
from django_tagalong.checks import OURS
from django_tagalong.middleware import TagalongMiddleware

COMMON = "django.middleware.common.CommonMiddleware"


class Derived(TagalongMiddleware):
    """What an app may make of it."""


def found(tag: str | None = None, deploy: bool = False) -> list[str | None]:
    return [
        it.id for it in run_checks(include_deployment_checks=deploy) if str(it.id).startswith("tagalong.")
    ]


def test_an_empty_setting_is_the_defaults(settings: Settings) -> None:
    settings.TAGALONG = {}
    assert conf.get() == conf.Settings()
    assert found() == []


def test_the_setting_may_be_missing(settings: Settings) -> None:
    del settings.TAGALONG
    assert conf.get() == conf.Settings()
    assert found() == []


def test_a_setting_that_changes_is_read_anew(settings: Settings) -> None:
    settings.TAGALONG = {"MAX_TAGS": 5}
    assert conf.get().max_tags == 5
    settings.TAGALONG = {"MAX_TAGS": 6}
    assert conf.get().max_tags == 6


@pytest.mark.parametrize(
    ("urls", "expected"),
    [
        ("http://127.0.0.1:9080/", ("http://127.0.0.1:9080",)),
        (["http://a", "http://b/", "http://a/"], ("http://a", "http://b")),
        ((), ()),
    ],
)
def test_urls_are_text_or_a_list_of_it(urls: object, expected: tuple[str, ...]) -> None:
    assert conf.read({"ADMIN_URLS": urls, "TOKEN": "t"}).admin_urls == expected


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        pytest.param([], ["tagalong.E001"], id="no dict"),
        pytest.param({"ADMIN_URL": "http://127.0.0.1"}, ["tagalong.E002"], id="unknown key"),
        pytest.param({"enabled": True}, ["tagalong.E002"], id="small letters"),
        pytest.param({"ENABLED": 1}, ["tagalong.E003"], id="no truth"),
        pytest.param({"TIMEOUT": "2"}, ["tagalong.E003"], id="time as text"),
        pytest.param({"TIMEOUT": 0}, ["tagalong.E003"], id="no time"),
        pytest.param({"TIMEOUT": float("nan")}, ["tagalong.E003"], id="no number"),
        pytest.param({"AGAIN": 0}, ["tagalong.E003"], id="again at once"),
        pytest.param({"AGAIN": None, "AT_ONCE": False}, [], id="never again"),
        pytest.param({"AT_ONCE": None}, ["tagalong.E003"], id="at once, or not"),
        pytest.param({"RETRIES": True}, ["tagalong.E003"], id="truth as a number"),
        pytest.param({"RETRIES": 1.5}, ["tagalong.E003"], id="no whole number"),
        pytest.param({"MAX_TAGS": 0}, ["tagalong.E003"], id="too small"),
        pytest.param({"MAX_HEADER_LINE": 10**9}, ["tagalong.E003"], id="too large"),
        pytest.param({"TOKEN": "a\r\nX: y"}, ["tagalong.E003"], id="token with a line break"),
        pytest.param({"TOKEN": ""}, ["tagalong.E003"], id="empty token"),
        pytest.param({"TOKEN": b"t"}, ["tagalong.E003"], id="token of bytes"),
        pytest.param({"ADMIN_URLS": "127.0.0.1:9080"}, ["tagalong.E004"], id="no scheme"),
        pytest.param({"ADMIN_URLS": "ftp://127.0.0.1"}, ["tagalong.E004"], id="another scheme"),
        pytest.param({"ADMIN_URLS": "http://u:p@127.0.0.1"}, ["tagalong.E004"], id="a password"),
        pytest.param({"ADMIN_URLS": "http://127.0.0.1:x"}, ["tagalong.E004"], id="no port"),
        pytest.param({"ADMIN_URLS": "http://127.0.0.1\r\nX: y"}, ["tagalong.E004"], id="a line break"),
        pytest.param({"ADMIN_URLS": "http://127.0.0.1/?a"}, ["tagalong.E004"], id="a query"),
        pytest.param({"ADMIN_URLS": [None, 5]}, ["tagalong.E004", "tagalong.E004"], id="no text"),
        pytest.param({"ADMIN_URLS": None}, ["tagalong.E004"], id="None"),
        pytest.param({"ADMIN_URLS": "http://sidecar:9080"}, ["tagalong.E005"], id="no token"),
        pytest.param({"ADMIN_URLS": "http://sidecar:9080", "TOKEN": "t"}, [], id="a token"),
        pytest.param(
            {"ADMIN_URLS": ["http://localhost:1", "http://[::1]:2", "http://127.9.9.9"]}, [], id="loopback"
        ),
        pytest.param({"ADMIN_URLS": "http://127.evil.example"}, ["tagalong.E005"], id="a name like loopback"),
        pytest.param({"ADMIN_URLS": "http://127.1"}, ["tagalong.E005"], id="an address in short"),
        pytest.param(
            {"RETRIES": -1, "TIMEOUT": None, "X": 1},
            ["tagalong.E003", "tagalong.E003", "tagalong.E002"],
            id="everything is told",
        ),
    ],
)
def test_what_is_wrong_is_found_by_checks_and_stops_a_server(
    settings: Settings, setting: Any, expected: list[str]
) -> None:
    settings.TAGALONG = setting
    assert found() == expected
    if not expected:
        conf.get()
        return
    with pytest.raises(ImproperlyConfigured) as error:
        TagalongMiddleware(lambda _: None)
    assert all(it in str(error.value) for it in expected)


def test_a_token_that_is_wrong_is_not_shown(settings: Settings) -> None:
    settings.TAGALONG = {"TOKEN": "topsecret\n"}
    with pytest.raises(ImproperlyConfigured) as error:
        conf.get()
    assert "topsecret" not in str(error.value) + str(run_checks())
    assert "topsecret" not in repr(conf.read({"TOKEN": "topsecret"}))


@pytest.mark.parametrize(
    ("middleware", "expected"),
    [
        pytest.param([OURS, COMMON], [], id="first"),
        pytest.param([], ["tagalong.W001"], id="absent"),
        pytest.param([f"{__name__}.Derived"], [], id="derived"),
        pytest.param(
            ["django.middleware.security.SecurityMiddleware", OURS], [], id="behind one that drops nothing"
        ),
        pytest.param([COMMON, OURS], ["tagalong.W002"], id="within one that replaces responses"),
        pytest.param(
            ["django.middleware.http.ConditionalGetMiddleware", OURS],
            ["tagalong.W002"],
            id="within conditional GET",
        ),
        pytest.param(
            [OURS, "django.middleware.cache.UpdateCacheMiddleware"],
            ["tagalong.W003"],
            id="around Django's cache",
        ),
        pytest.param(["no.such.Middleware"], ["tagalong.W001"], id="something that is not there"),
    ],
)
def test_the_place_of_the_middleware_is_checked(
    settings: Settings, middleware: list[str], expected: list[str]
) -> None:
    settings.MIDDLEWARE = middleware
    assert found() == expected


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ({"ADMIN_URLS": "http://sidecar:9080", "TOKEN": "t"}, ["tagalong.W004"]),
        ({"ADMIN_URLS": "https://sidecar:9080", "TOKEN": "t"}, []),
        ({"ADMIN_URLS": "http://127.0.0.1:9080", "TOKEN": "t"}, []),
        ({"RETRIES": -1}, ["tagalong.E003"]),
    ],
)
def test_a_token_that_travels_readably_is_said_before_a_deployment(
    settings: Settings, setting: dict[str, Any], expected: list[str]
) -> None:
    settings.TAGALONG = setting
    assert found(deploy=True) == expected


def test_the_tests_themselves_are_configured_right() -> None:
    call_command("check", fail_level="WARNING")
