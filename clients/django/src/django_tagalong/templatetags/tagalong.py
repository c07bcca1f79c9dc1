"""Templates name what they show: `{% load tagalong %}`, then `{% cache_tag "Product" product.pk %}`.

The first value is the name of the tag, the others its instance; a row of the database stands for its key. A
value that is None or not there makes no tag: the response is then not stored, and the log says why, as it
would show what no increment reaches. Without a request nothing happens. Renders nothing.
"""

from django import template
from django.template.base import FilterExpression, Parser, Token
from django.template.context import Context

from django_tagalong.decorators import cache_tag, do_not_store
from django_tagalong.patterns import text_of
from django_tagalong.tags import tag

register = template.Library()


@register.tag("cache_tag")
def _compile(parser: Parser, token: Token) -> template.Node:
    """`{% cache_tag name [part …] %}`."""
    _, *bits = token.split_contents()
    if not bits:
        raise template.TemplateSyntaxError("`cache_tag` needs the name of a tag, such as 'Product'")
    return _CacheTag([parser.compile_filter(bit) for bit in bits])


class _CacheTag(template.Node):
    child_nodelists: tuple[str, ...] = ()

    def __init__(self, parts: list[FilterExpression]) -> None:
        self.parts = parts

    def render(self, context: Context) -> str:
        try:
            # What is not there is None, and not the empty text that a page would show.
            name, *instance = (text_of(part.resolve(context, ignore_failures=True)) for part in self.parts)
            if name is None:
                raise ValueError("its name is None")
            cache_tag(tag(name, *instance))
        except (TypeError, ValueError) as wrong:
            do_not_store(f"`cache_tag {' '.join(map(str, self.parts))}`: {wrong}")
        return ""
