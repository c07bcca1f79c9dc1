"""What every page shows of the catalogue."""

from django import template
from django.db.models import QuerySet
from django_tagalong import cache_tag

from catalogue.models import Category

register = template.Library()


@register.simple_tag
def categories() -> QuerySet[Category]:
    """All categories; the page that shows them depends on their list."""
    cache_tag("Categories")
    return Category.objects.all()
