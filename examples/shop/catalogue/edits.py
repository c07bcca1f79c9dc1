"""The ways in which staff edits the catalogue, one for each way in which Django writes. Each is a
transaction, and answers with the counts that have grown: what pages show from then on at least. Nothing here
speaks of tags.
"""

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import DecimalField, F, Value
from django.db.models.functions import Cast, Greatest, Round

from .models import Category, Collection, Product
from .versions import Counts

Versions = dict[str, int]

FIELDS = frozenset({"name", "about", "price", "stock", "is_listed"})
HOW = frozenset({"add", "remove", "set", "clear"})
# Rows that one call may name.
MOST = 500


@transaction.atomic
def save(product: int, **fields: Any) -> Versions:
    """One row, by `save()`."""
    if not fields or not FIELDS.issuperset(fields):
        raise ValidationError(f"expected are some of {', '.join(sorted(FIELDS))}")
    row = Product.objects.select_for_update().get(pk=_number(product))
    counts = Counts([row.pk])
    for name, value in fields.items():
        setattr(row, name, value)
    row.full_clean()
    row.save(update_fields=list(fields))
    return counts.grown()


@transaction.atomic
def reprice(category: int, percent: int) -> Versions:
    """All prices of a category, by `update()`."""
    if not -50 <= _number(percent) <= 100:
        raise ValidationError("`percent` is from -50 to 100")
    row = Category.objects.get(pk=_number(category))
    counts = Counts(row.products.values_list("pk", flat=True))
    factor = Value(Decimal(100 + percent) / 100)
    money = DecimalField(max_digits=8, decimal_places=2)
    price = Greatest(Round(Cast(F("price") * factor, money), 2), Value(Decimal("0.01")), output_field=money)
    row.products.update(price=price, version=F("version") + 1)
    return counts.grown()


@transaction.atomic
def restock(products: list[int], add: int) -> Versions:
    """Several rows, by `bulk_update()`."""
    if not 1 <= _number(add) <= 100_000:
        raise ValidationError("`add` is from 1 to 100000")
    rows = list(Product.objects.select_for_update().filter(pk__in=_numbers(products)))
    counts = Counts(it.pk for it in rows)
    for row in rows:
        row.stock += add
        row.version += 1
    Product.objects.bulk_update(rows, ["stock", "version"])
    return counts.grown()


@transaction.atomic
def shelve_collection(collection: int, how: str, products: list[int] | None = None) -> Versions:
    """Which products a collection has, by `add`, `remove`, `set` or `clear`."""
    row = Collection.objects.get(pk=_number(collection))
    before = set(row.products.values_list("pk", flat=True))
    named = _numbers(products or [])
    counts = Counts(before | set(named), [row.pk])
    _relate(row.products, how, Product.objects.filter(pk__in=named))
    return counts.grown()


@transaction.atomic
def shelve_product(product: int, how: str, collections: list[int] | None = None) -> Versions:
    """Which collections a product is in: the same relation from its other end."""
    row = Product.objects.get(pk=_number(product))
    before = set(row.collections.values_list("pk", flat=True))
    named = _numbers(collections or [])
    counts = Counts([row.pk], before | set(named))
    _relate(row.collections, how, Collection.objects.filter(pk__in=named))
    return counts.grown()


EDITS: dict[str, Callable[..., Versions]] = {
    it.__name__: it for it in (save, reprice, restock, shelve_collection, shelve_product)
}
# What a call may raise that is the caller's mistake.
MISTAKES = (ValidationError, TypeError, InvalidOperation)


def _relate(relation: Any, how: str, rows: Any) -> None:
    if how not in HOW:
        raise ValidationError(f"`how` is one of {', '.join(sorted(HOW))}")
    if how == "set":
        relation.set(rows)
    elif how == "clear":
        relation.clear()
    else:
        getattr(relation, how)(*rows)


def _number(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) >= 2**63:
        raise ValidationError("a whole number is expected")
    return value


def _numbers(values: object) -> list[int]:
    if not isinstance(values, list) or len(values) > MOST:
        raise ValidationError(f"a list of at most {MOST} whole numbers is expected")
    return [_number(it) for it in values]
