"""What an app's own tests say with `django_tagalong.test`."""

import asyncio
import threading
from typing import Any

import pytest
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, TestCase, TransactionTestCase
from django.urls import path
from pytest_django import Settings

from django_tagalong import cache_tags, change, increment
from django_tagalong.collector import Change
from django_tagalong.test import TagalongAssertions, changes_of, increments_of, recording, tags_of

from .app.models import User


@cache_tags("Users", "User:é", ttl=5)
def read(request: HttpRequest) -> HttpResponse:
    return HttpResponse("read")


def write(request: HttpRequest) -> HttpResponse:
    with transaction.atomic():
        User.objects.create(name="x")
        increment("User:1", "Users")
        change("users", old={"name": "a"}, new={"name": "b"})
    return HttpResponse("written")


async def awrite(request: HttpRequest) -> HttpResponse:
    increment("User:1", soft=True)
    return HttpResponse("written")


urlpatterns = [path("read", read), path("write", write), path("awrite", awrite)]
CHANGE = Change("users", (("name", "a"),), (("name", "b"),))


@pytest.mark.urls(__name__)
class TestInATestCase(TagalongAssertions, TestCase):
    def test_a_page_has_exactly_these_tags(self) -> None:
        response = self.client.get("/read")
        self.assertTags(response, "User:é", "Users")
        for wrong in (["Users"], ["Users", "User:é", "Other"], []):
            with pytest.raises(AssertionError):
                self.assertTags(response, *wrong)

    def test_a_write_increments_though_the_test_is_rolled_back(self) -> None:
        with self.assertIncrements("Users", "User:1") as said:
            self.client.get("/write")
        assert said.changes == [CHANGE]

    def test_an_increment_that_is_missing_or_too_many_is_told(self) -> None:
        for wrong in (["Users"], ["Users", "User:1", "User:2"], []):
            with pytest.raises(AssertionError), self.assertIncrements(*wrong):
                self.client.get("/write")

    def test_what_is_rolled_back_inside_increments_nothing(self) -> None:
        def fail() -> None:
            with transaction.atomic():
                increment("User:1")
                raise ZeroDivisionError

        with self.assertNoIncrements(), pytest.raises(ZeroDivisionError):
            fail()
        with pytest.raises(AssertionError), self.assertNoIncrements():
            increment("User:1")
        with pytest.raises(AssertionError), self.assertNoIncrements():
            change("users")

    def test_what_was_said_before_is_not_counted(self) -> None:
        increment("Before")
        with self.assertIncrements("Inside"):
            increment("Inside")
        with self.assertNoIncrements():
            pass

    def test_what_was_said_before_another_recording_is_not_lost(self) -> None:
        with self.assertIncrements("Before", "After"):
            increment("Before")
            with self.assertIncrements("Inside"):
                increment("Inside")
            increment("After")

    def test_callbacks_that_django_has_run_count_once(self) -> None:
        with recording() as said, self.captureOnCommitCallbacks(execute=True):
            increment("A")
        assert said.increments == ["A"]


@pytest.mark.urls(__name__)
class TestWithTransactions(TagalongAssertions, TransactionTestCase):
    def test_a_write_travels_on_its_response(self) -> None:
        with self.assertIncrements("User:1", "Users"):
            response = self.client.get("/write")
        assert increments_of(response) == ["User:1", "Users"]
        assert changes_of(response) == ['"users";old.name="a";new.name="b"']
        assert tags_of(response) == []

    def test_within_a_transaction_what_was_said_before_is_not_counted(self) -> None:
        with transaction.atomic():
            increment("Before")
            transaction.on_commit(lambda: None)
            with recording() as said:
                increment("A")
                with transaction.atomic():
                    increment("B")
            assert said.increments == ["A", "B"]


@pytest.mark.urls(__name__)
@pytest.mark.django_db
def test_what_async_views_and_threads_say_is_recorded() -> None:
    with recording() as said:
        asyncio.run(AsyncClient().get("/awrite"))
        asyncio.run(AsyncClient().get("/read"))
        thread = threading.Thread(target=lambda: increment("Thread"))
        thread.start()
        thread.join()
    assert (said.increments, said.tags) == (["User:1", "Thread"], ["Users", "User:é"])


@pytest.mark.django_db
def test_recording_needs_no_setting_and_leaves_it_as_it_was(settings: Settings) -> None:
    from django_tagalong import clients, conf

    setting: dict[str, Any] = {"ENABLED": False, "ADMIN_URLS": "http://127.0.0.1:9", "TIMEOUT": 0.1}
    settings.TAGALONG = setting
    before = conf.get()
    with recording() as said:
        assert increment("A") is None  # within the transaction of this test
    assert said.increments == ["A"]
    assert conf.get() == before
    assert clients.each() == [], "it is off"
    assert increment("B") is None
