"""The catalogue as JSON: reads for everyone, edits for staff. An edit answers with the counts that every page
shows from then on at least.
"""

import json
from typing import Any

from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST
from django_tagalong import cache_tag, cache_tags

from shop.guards import staff

from . import edits, versions
from .models import Product
from .views import PER_PAGE, TTL, found, listed, query_of


@require_GET
@cache_tags("Catalogue", ttl=TTL)
def products(request: HttpRequest) -> HttpResponse:
    """`GET /api/products?q=&page=`"""
    page = Paginator(found(query_of(request)), PER_PAGE).get_page(request.GET.get("page"))
    rows = list(page)
    cache_tag(*(("Product", it.pk) for it in rows), *(("Category", it.category_id) for it in rows))
    return JsonResponse(
        {
            "products": [_shown(it) for it in rows],
            "page": page.number,
            "pages": page.paginator.num_pages,
            "versions": versions.of_products(rows),
        }
    )


@csrf_exempt  # `_save` asks for a token that browsers do not have
def product(request: HttpRequest, pk: int) -> HttpResponse:
    """`GET /api/products/12`, `PATCH /api/products/12 {"price": "9.90"}`"""
    if request.method == "PATCH":
        return _save(request, pk)
    return _product(request, pk)


@require_GET
@cache_tags("Product:{pk}", "Product:{pk}:collections", ttl=TTL)
def _product(request: HttpRequest, pk: int) -> HttpResponse:
    row = get_object_or_404(listed(), pk=pk)
    collections = list(row.collections.all())
    cache_tag(("Category", row.category_id), *(("Collection", it.pk) for it in collections))
    shown = {**_shown(row), "about": row.about, "collections": [it.name for it in collections]}
    counts = {**versions.of_products([row]), f"shelvings:{pk}": row.shelvings}
    return JsonResponse({"product": shown, "versions": counts})


@staff
def _save(request: HttpRequest, pk: int) -> HttpResponse:
    return _edited(request, "save", product=pk)


@staff
@require_POST
def restock(request: HttpRequest) -> HttpResponse:
    """`POST /api/products/restock {"products": [1, 2], "add": 10}`"""
    return _edited(request, "restock")


@staff
@require_POST
def reprice(request: HttpRequest, pk: int) -> HttpResponse:
    """`POST /api/categories/3/reprice {"percent": 5}`"""
    return _edited(request, "reprice", category=pk)


@staff
@require_POST
def shelve_product(request: HttpRequest, pk: int) -> HttpResponse:
    """`POST /api/products/12/collections {"how": "add", "collections": [1]}`"""
    return _edited(request, "shelve_product", product=pk)


@staff
@require_POST
def shelve_collection(request: HttpRequest, pk: int) -> HttpResponse:
    """`POST /api/collections/2/products {"how": "clear"}`"""
    return _edited(request, "shelve_collection", collection=pk)


def _edited(request: HttpRequest, name: str, **of: int) -> HttpResponse:
    try:
        counts = edits.EDITS[name](**body_of(request), **of)
    except ObjectDoesNotExist:
        return JsonResponse({"error": "there is no such thing"}, status=404)
    except edits.MISTAKES as wrong:
        return JsonResponse({"error": str(wrong)}, status=400)
    return JsonResponse({"versions": counts})


def body_of(request: HttpRequest) -> dict[str, Any]:
    """The JSON object in a request. Raises `ValidationError` for anything else."""
    try:
        said = json.loads(request.body)
    except (ValueError, RecursionError):  # no JSON, no UTF-8, or too deep
        said = None
    if not isinstance(said, dict):
        raise ValidationError("a JSON object is expected")
    return said


def _shown(row: Product) -> dict[str, Any]:
    return {
        "id": row.pk,
        "name": row.name,
        "category": row.category.name,
        "price": str(row.price),
        "stock": row.stock,
        "url": row.get_absolute_url(),
    }
