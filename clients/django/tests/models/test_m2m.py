"""Many-to-many relations: what each way of writing them tells, from both sides."""

from collections.abc import Callable

import pytest
from django.db import IntegrityError, transaction
from django.db.models.signals import m2m_changed, pre_delete

from django_tagalong import tag
from django_tagalong.m2m import register_m2m, unregister_m2m
from django_tagalong.registry import register_model
from tests.app.library import Choir, Club, Membership, Part, Person, Singer
from tests.app.models import Book, User

from .telling import Told

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def book(told: Told) -> Book:
    """Book 1, read by users 2 and 3; nobody reads book 5, and user 4 nothing."""
    users = [User.objects.create(pk=pk) for pk in (2, 3, 4)]
    Book.objects.create(pk=5)
    book = Book.objects.create(pk=1)
    book.readers.add(*users[:2])
    register_m2m(Book.readers.through)
    return book


def user(pk: int) -> User:
    return User.objects.get(pk=pk)


@pytest.mark.parametrize(
    ("write", "expected"),
    [
        pytest.param(lambda book: book.readers.add(user(4)), {"Book:1:readers", "User:4:books"}, id="add"),
        pytest.param(lambda book: book.readers.add(4), {"Book:1:readers", "User:4:books"}, id="add_by_key"),
        pytest.param(lambda book: book.readers.add(user(2)), set(), id="add_what_is_there"),
        pytest.param(
            lambda book: user(4).books.add(book), {"Book:1:readers", "User:4:books"}, id="add_reverse"
        ),
        pytest.param(lambda book: book.readers.remove(2), {"Book:1:readers", "User:2:books"}, id="remove"),
        pytest.param(
            lambda book: user(2).books.remove(book), {"Book:1:readers", "User:2:books"}, id="remove_reverse"
        ),
        pytest.param(
            lambda book: book.readers.set([2, 4]),
            {"Book:1:readers", "User:3:books", "User:4:books"},
            id="set",
        ),
        pytest.param(lambda book: book.readers.set([2, 3]), set(), id="set_what_is_there"),
        pytest.param(
            lambda book: book.readers.set([4], clear=True),
            {"Book:1:readers", "User:2:books", "User:3:books", "User:4:books"},
            id="set_after_clear",
        ),
        pytest.param(
            lambda book: user(2).books.set([5]),
            {"Book:1:readers", "Book:5:readers", "User:2:books"},
            id="set_reverse",
        ),
        pytest.param(
            lambda book: book.readers.clear(), {"Book:1:readers", "User:2:books", "User:3:books"}, id="clear"
        ),
        pytest.param(
            lambda book: user(2).books.clear(), {"Book:1:readers", "User:2:books"}, id="clear_reverse"
        ),
        pytest.param(lambda book: user(4).books.clear(), set(), id="clear_nothing"),
        pytest.param(
            lambda book: book.readers.create(pk=9), {"Book:1:readers", "User:9:books"}, id="create_at_the_end"
        ),
        pytest.param(
            lambda book: book.delete(), {"Book:1:readers", "User:2:books", "User:3:books"}, id="delete_left"
        ),
        pytest.param(lambda book: user(3).delete(), {"Book:1:readers", "User:3:books"}, id="delete_right"),
        pytest.param(
            lambda book: User.objects.all().delete(),
            {"Book:1:readers", "User:2:books", "User:3:books", "User:4:books"},
            id="delete_all_of_the_right",
        ),
    ],
)
def test_every_way_to_write_tells_both_ends(
    told: Told, book: Book, write: Callable[[Book], object], expected: set[str]
) -> None:
    write(book)
    assert told.tags == expected


def test_a_clear_is_told_after_the_commit(told: Told, book: Book) -> None:
    with transaction.atomic():
        book.readers.clear()
        assert told.calls == []
    assert told.tags == {"Book:1:readers", "User:2:books", "User:3:books"}


def test_a_clear_that_is_rolled_back_tells_nothing(told: Told, book: Book) -> None:
    with transaction.atomic():
        book.readers.clear()
        transaction.set_rollback(True)
    assert told.calls == []


def test_five_thousand_at_once_are_one_call(told: Told, book: Book) -> None:
    User.objects.bulk_create([User(pk=pk) for pk in range(100, 5100)])
    book.readers.add(*range(100, 5100))
    assert [len(tags) for tags, _ in told.calls] == [5001]
    told.clear()
    book.readers.clear()
    assert [len(tags) for tags, _ in told.calls] == [5003]


def test_the_ends_have_the_names_that_their_models_are_registered_by(told: Told, book: Book) -> None:
    register_model(User, tag_name="Reader", auto_connect=False)
    book.readers.add(4)
    assert told.tags == {"Book:1:readers", "Reader:4:books"}


def test_the_ends_can_be_told_by_text_and_by_functions(told: Told, book: Book) -> None:
    register_m2m(
        Book.readers.through, left="readers-of:{pk}", right=lambda pk: [tag("Reader", pk), "Readers"]
    )
    book.readers.add(4)
    assert told.tags == {"readers-of:1", "Reader:4", "Readers"}


def test_text_without_a_place_for_the_key_is_refused() -> None:
    with pytest.raises(ValueError, match="primary key"):
        register_m2m(Book.readers.through, left="readers")


def test_a_function_that_raises_costs_its_own_end_alone(
    told: Told, book: Book, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: object) -> str:
        raise RuntimeError("of the app")

    register_m2m(Book.readers.through, left=fail)
    book.readers.add(4)
    assert told.tags == {"User:4:books"}
    assert "`left`" in caplog.text


def test_registering_twice_tells_once(told: Told, book: Book) -> None:
    register_m2m("app.Book_readers")
    book.readers.add(4)
    assert [sorted(tags) for tags, _ in told.calls] == [["Book:1:readers", "User:4:books"]]


def test_what_is_unregistered_tells_nothing(told: Told, book: Book) -> None:
    unregister_m2m(Book.readers.through)
    book.readers.clear()
    book.delete()
    assert told.calls == []


def test_what_is_no_relation_is_refused() -> None:
    with pytest.raises(ValueError, match="no many-to-many field"):
        register_m2m(Book)


def test_friends_are_told_of_each_other(told: Told) -> None:
    one, two, three = (Person.objects.create(pk=pk) for pk in (1, 2, 3))
    register_m2m(Person.friends.through)
    one.friends.add(two)
    assert told.tags == {"Person:1:friends", "Person:2:friends"}
    three.friends.add(two)
    told.clear()
    two.friends.clear()
    assert told.tags == {"Person:1:friends", "Person:2:friends", "Person:3:friends"}
    two.friends.add(three)
    told.clear()
    three.delete()
    assert told.tags == {"Person:2:friends", "Person:3:friends"}


def test_those_who_follow_differ_from_those_who_are_followed(told: Told) -> None:
    one, two = (Person.objects.create(pk=pk) for pk in (1, 2))
    register_m2m(Person.follows.through)
    expected = {"Person:1:follows", "Person:2:followers"}
    for write in (
        lambda: one.follows.add(two),
        lambda: two.followers.remove(one),
        lambda: two.followers.add(one),
        lambda: two.followers.clear(),
        lambda: one.follows.set([two]),
    ):
        told.clear()
        write()
        assert told.tags == expected
    told.clear()
    two.delete()
    assert told.tags == expected | {"Person:2:follows"}


@pytest.fixture
def club(told: Told) -> Club:
    for pk in (1, 2):
        Person.objects.create(pk=pk)
    register_m2m(Club.members.through)
    Club.objects.create(pk=20, code="b")
    return Club.objects.create(pk=10, code="a")


def test_a_relation_with_a_model_of_its_own_is_told_of_through_that(told: Told, club: Club) -> None:
    expected = {"Club:10:members", "Person:1:clubs"}
    row = Membership.objects.create(person_id=1, club=club)
    assert told.tags == expected
    told.clear()
    row.club_id = "b"
    row.save()
    assert told.tags == expected | {"Club:20:members"}
    told.clear()
    row.delete()
    assert told.tags == {"Club:20:members", "Person:1:clubs"}
    assert not [name for name in vars(row) if name.startswith("_tagalong")]


@pytest.mark.parametrize(
    "write",
    [
        pytest.param(lambda club: club.members.add(2), id="add"),
        pytest.param(lambda club: Person.objects.get(pk=2).clubs.add(club), id="add_reverse"),
        pytest.param(lambda club: club.members.set([1, 2]), id="set"),
    ],
)
def test_a_relation_that_refers_to_another_field_than_the_key_is_told_of_by_keys(
    told: Told, club: Club, write: Callable[[Club], object]
) -> None:
    Membership.objects.create(person_id=1, club=club)
    told.clear()
    write(club)
    assert told.tags == {"Club:10:members", "Person:2:clubs"}


def test_two_fields_with_one_table_tell_each_end_as_what_it_is(told: Told) -> None:
    choir, singer = Choir.objects.create(pk=1), Singer.objects.create(pk=2)
    register_m2m(Part, left="Left:{pk}", right="Right:{pk}")
    # Either field is the left one of its own: both ends are told as both.
    expected = {"Left:1", "Right:2", "Left:2", "Right:1"}
    for write in (
        lambda: choir.singers.add(singer),
        lambda: choir.singers.clear(),
        lambda: singer.choirs.add(choir),
        lambda: singer.choirs.remove(choir),
    ):
        told.clear()
        write()
        assert told.tags == expected


@pytest.mark.parametrize(
    "write",
    [
        pytest.param(lambda club: club.members.clear(), id="clear"),
        pytest.param(lambda club: club.members.remove(1), id="remove"),
        pytest.param(lambda club: Person.objects.get(pk=1).clubs.clear(), id="clear_reverse"),
        pytest.param(lambda club: Person.objects.get(pk=1).delete(), id="delete_right"),
        pytest.param(lambda club: club.delete(), id="delete_left"),
        pytest.param(lambda club: Membership.objects.all().delete(), id="delete_rows"),
    ],
)
def test_rows_of_its_own_model_that_go_are_told_of(
    told: Told, club: Club, write: Callable[[Club], object]
) -> None:
    Membership.objects.create(person_id=1, club=club)
    told.clear()
    write(club)
    assert told.tags == {"Club:10:members", "Person:1:clubs"}


def test_what_is_not_registered_is_not_listened_to(told: Told, book: Book) -> None:
    assert pre_delete.has_listeners(Book)
    unregister_m2m(Book.readers.through)
    # Else Django would fetch the rows that it deletes.
    assert not pre_delete.has_listeners(Book)
    assert not m2m_changed.has_listeners(Book.readers.through)


def test_the_ends_of_a_key_with_a_colon_stay_apart(told: Told) -> None:
    from django_tagalong.m2m import _filled

    assert _filled("Doc:{pk}:readers", "a:b") == tag("Doc", "a:b", "readers")
    assert _filled("readers:{pk}", "a:b, c") == tag("readers", "a:b, c")


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_a_relation_in_another_database_tells_with_its_own_commit(told: Told) -> None:
    book = Book.objects.using("other").create(pk=1)
    reader = User.objects.using("other").create(pk=2)
    register_m2m(Book.readers.through)
    with transaction.atomic(using="other"):
        book.readers.add(reader)
        with transaction.atomic():
            pass
        assert told.calls == []
    told_of = {"Book:1:readers", "User:2:books"}
    assert told.tags == told_of
    told.clear()
    book.delete()
    assert told.tags == told_of


def test_a_row_of_a_relation_whose_save_fails_leaves_nothing_that_is_pickled(told: Told, club: Club) -> None:
    row = Membership.objects.create(person_id=1, club=club)
    row.person_id = None  # type: ignore[assignment]
    with pytest.raises(IntegrityError):
        row.save()
    assert not [name for name in row.__dict__ if "tagalong" in name]
    row.person_id = 2
    told.clear()
    row.save()
    assert told.tags == {"Club:10:members", "Person:1:clubs", "Person:2:clubs"}
