"""What a change of the catalogue forgets. The tags of a row itself (`Product:12`, `Category:3`) and of a
relation's two ends (`Product:12:collections`, `Collection:2:products`) need no word here.

`CategoryProducts:3` is all that is in a category. `Catalogue` is which products there are and what they are
called: pages that show a part of them, in their order, have it, beside a tag for each product that they show.
So a change of a price or of a stock forgets no search but those that show it.
"""

from collections.abc import Collection as Several

from django_tagalong import list_tag, register_m2m, register_model

from .models import Category, Collection, Product

# What decides which products a list has, and in which order.
DECIDE = frozenset({"name", "about", "category", "category_id", "is_listed"})


def register() -> None:
    """Has the models announce their changes."""
    register_model(Category, tags=lambda row: [list_tag("Categories")])
    register_model(Collection, tags=lambda row: [list_tag("Collections")])
    register_model(
        Product,
        tags=lambda row: [list_tag("CategoryProducts", row.category_id)],
        on_create=lambda row: [list_tag("Catalogue")],
        on_update=_updated,
        on_delete=lambda row: [list_tag("Catalogue")],
    )
    register_m2m(Product.collections.through)


def _updated(row: Product, update_fields: Several[str] | None) -> list[str]:
    # None: all fields were written, and nobody knows which have changed.
    is_decided = update_fields is None or not DECIDE.isdisjoint(update_fields)
    return [list_tag("Catalogue")] if is_decided else []
