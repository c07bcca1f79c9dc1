"""Pages that are the same for everyone. What a page depends on is said where it is shown: for the page by
`@cache_tags`, for what the database finds by `cache_tag`, and for a product's card in its template.
"""

from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django_tagalong import cache_tag, cache_tags

from . import versions
from .models import Category, Collection, Product

TTL = 3600
PER_PAGE = 12
# Products that the front page shows of each collection.
PER_SHELF = 4
LONGEST_QUERY = 80


def listed() -> QuerySet[Product]:
    """What can be bought, with what a card shows."""
    return Product.objects.filter(is_listed=True).select_related("category")


def found(query: str) -> QuerySet[Product]:
    """What has the words in its name or its description."""
    products = listed()
    for word in query.split():
        products = products.filter(Q(name__icontains=word) | Q(about__icontains=word))
    return products


def query_of(request: HttpRequest) -> str:
    """What is searched for."""
    return " ".join(request.GET.get("q", "").split())[:LONGEST_QUERY]


@cache_tags("Catalogue", "Collections", ttl=TTL)
def home(request: HttpRequest) -> HttpResponse:
    """Some of each collection."""
    collections = list(Collection.objects.all())
    cache_tag(*(("Collection", it.pk, "products") for it in collections))
    shelves = [(it, list(listed().filter(collections=it)[:PER_SHELF])) for it in collections]
    return render(request, "catalogue/home.html", {"shelves": shelves})


@cache_tags(ttl=TTL)
def category(request: HttpRequest, slug: str) -> HttpResponse:
    """What is in a category."""
    row = get_object_or_404(Category, slug=slug)
    cache_tag(("Category", row.pk), ("CategoryProducts", row.pk))
    version = versions.of_category(row.pk)
    page = Paginator(listed().filter(category=row), PER_PAGE).get_page(request.GET.get("page"))
    return render(request, "catalogue/category.html", {"category": row, "version": version, "page": page})


@cache_tags("Catalogue", ttl=TTL)
def collection(request: HttpRequest, slug: str) -> HttpResponse:
    """What is in a collection."""
    row = get_object_or_404(Collection, slug=slug)
    cache_tag(("Collection", row.pk), ("Collection", row.pk, "products"))
    page = Paginator(listed().filter(collections=row), PER_PAGE).get_page(request.GET.get("page"))
    return render(request, "catalogue/collection.html", {"collection": row, "page": page})


@cache_tags("Product:{pk}", "Product:{pk}:collections", ttl=TTL)
def product(request: HttpRequest, pk: int) -> HttpResponse:
    """One product."""
    row = get_object_or_404(listed(), pk=pk)
    return render(
        request, "catalogue/product.html", {"product": row, "collections": list(row.collections.all())}
    )


@cache_tags("Catalogue", ttl=TTL)
def search(request: HttpRequest) -> HttpResponse:
    """What is found, page by page."""
    query = query_of(request)
    page = Paginator(found(query), PER_PAGE).get_page(request.GET.get("page"))
    return render(request, "catalogue/search.html", {"query": query, "page": page})
