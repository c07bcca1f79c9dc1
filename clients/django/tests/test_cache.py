"""What a cache with tags tells the admin interface of changes."""

from typing import Any

import pytest
from django.db import transaction
from pytest_django import Settings

from django_tagalong.cache import TagalongCache
from django_tagalong.collector import collecting

from .scripted import ScriptedAdmin

pytestmark = pytest.mark.django_db(transaction=True)


def test_tags_are_told_at_once_in_a_request_too_and_again_where_the_setting_says_so(
    told: ScriptedAdmin, settings: Settings
) -> None:
    settings.TAGALONG = {**settings.TAGALONG, "AGAIN": 5}
    with collecting():
        assert TagalongCache().invalidate_tags(["A", ("B", 1)]) is True
    assert [call.json for call in told.calls] == [{"tags": ["A", "B:1"], "again": "5s"}]


def test_l06_in_a_request_its_response_tells_of_tags_that_the_call_did_not(
    settings: Settings, nobody: str
) -> None:
    settings.TAGALONG = {"ADMIN_URLS": nobody, "RETRIES": 0}
    with collecting() as collector:
        assert TagalongCache().invalidate_tags(["A"]) is None
        assert list(collector.close().increments) == ["A"]


def test_fk9_in_a_transaction_tags_are_told_after_its_commit(told: ScriptedAdmin) -> None:
    with transaction.atomic():
        assert TagalongCache().invalidate_tags(["A"]) is None
        assert told.calls == []
    assert told.incremented == ["A"]
    with transaction.atomic():
        TagalongCache().invalidate_tags(["B"])
        transaction.set_rollback(True)
    assert told.incremented == ["A"]


@pytest.mark.parametrize("tags", [[], ()])
def test_no_tags_are_no_call(told: ScriptedAdmin, tags: Any) -> None:
    assert TagalongCache().invalidate_tags(tags) is None
    assert told.calls == []


def test_l06_of_several_sidecars_each_is_told_and_one_that_is_away_is_no_silence(
    told: ScriptedAdmin, settings: Settings, nobody: str, caplog: pytest.LogCaptureFixture
) -> None:
    settings.TAGALONG = {"ADMIN_URLS": [nobody, told.url], "RETRIES": 0}
    assert TagalongCache().invalidate_tags(["A"]) is False
    assert told.incremented == ["A"]
    assert "A" in caplog.text
