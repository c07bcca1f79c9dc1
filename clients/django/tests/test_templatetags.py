"""Templates name what they show."""

import pytest
from django.template import Context, Engine, TemplateSyntaxError

from django_tagalong.collector import Collected, collecting

from .app.models import Book, User

ENGINE = Engine(libraries={"tagalong": "django_tagalong.templatetags.tagalong"}, string_if_invalid="INVALID")


def render(text: str, **values: object) -> tuple[str, Collected]:
    with collecting() as collector:
        page = ENGINE.from_string("{% load tagalong %}" + text).render(Context(values))
        return page, collector.close()


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("{% cache_tag 'Products' %}", ["Products"]),
        ("{% cache_tag 'Product' product.pk %}", ["Product:7"]),
        ("{% cache_tag 'Product' product %}", ["Product:7"]),
        ("{% cache_tag name 1 'a,b' %}", ["Shelf:1:a%2Cb"]),
        ("{% cache_tag 'Title' product.title|lower %}", ["Title:%3Cb%3E%20%26%20%22x%22"]),
        (
            "{% for b in books %}{% cache_tag 'Book' b.pk %}{% endfor %}{% cache_tag 'Book' 1 %}",
            ["Book:1", "Book:2"],
        ),
        ("{% cache_tag 'Product' '' %}", ["Product:"]),
        ("{% cache_tag 'Product' 0 %}", ["Product:0"]),
    ],
)
def test_a_template_tags_the_response_and_shows_nothing(text: str, tags: list[str]) -> None:
    books = [Book(pk=1), Book(pk=2)]
    page, collected = render(text, product=Book(pk=7, title='<B> & "X"'), name="Shelf", books=books)
    assert (page, list(collected.tags), collected.freshness) == (
        "",
        [tag.replace("%3C", "<").replace("%3E", ">").replace("%26", "&") for tag in tags],
        {},
    )


@pytest.mark.parametrize(
    "text",
    [
        "{% cache_tag 'Product' prodct.pk %}",
        "{% cache_tag 'Product' product.nothing %}",
        "{% cache_tag 'Product' unsaved %}",
        "{% cache_tag 'Product' None %}",
        "{% cache_tag nme %}",
        "{% cache_tag 'Product' list %}",
        "{% cache_tag '~all' %}",
        "{% cache_tag '' %}",
    ],
)
def test_fk5_what_makes_no_tag_keeps_the_response_from_being_stored(
    text: str, caplog: pytest.LogCaptureFixture
) -> None:
    page, collected = render("a" + text + "b", product=Book(pk=7), unsaved=User(), list=[1])
    assert (page, list(collected.tags), collected.freshness) == ("ab", [], {"no-store": None})
    assert "is not stored: `cache_tag" in caplog.text


def test_a_template_outside_of_a_request_is_rendered(caplog: pytest.LogCaptureFixture) -> None:
    text = "{% load tagalong %}a{% cache_tag 'Product' 7 %}{% cache_tag 'Product' nothing %}b"
    assert ENGINE.from_string(text).render(Context()) == "ab"
    assert caplog.text == ""


def test_a_tag_without_a_name_is_a_mistake_of_the_template() -> None:
    with pytest.raises(TemplateSyntaxError, match="needs the name of a tag"):
        render("{% cache_tag %}")
