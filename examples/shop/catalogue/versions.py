"""How new the data is that a page shows: names with counts that only grow.

`product:12` counts writes of a row, `shelvings:12` and `collection:2` changes of a relation from both its
ends, `category:3` writes of all rows in a category. A count is read before the data that it stands for, or
with it, so that it never says more than is shown.
"""

from collections.abc import Iterable

from django.db.models import Sum

from .models import Collection, Product


def of_category(pk: int) -> int:
    """How often its products were written."""
    return Product.objects.filter(category=pk).aggregate(it=Sum("version"))["it"] or 0


def of_products(products: Iterable[Product]) -> dict[str, int]:
    """Of rows as they were read."""
    return {f"product:{it.pk}": it.version for it in products}


class Counts:
    """Of these products, their categories and these collections, read twice: before an edit and after it, in
    its transaction. What did not grow in it is not its to promise: another edit may have been committed, and
    the sidecar not told of it yet.
    """

    def __init__(self, products: Iterable[int] = (), collections: Iterable[int] = ()) -> None:
        self._products, self._collections = list(products), list(collections)
        self._before = self._now()

    def grown(self) -> dict[str, int]:
        """Those that have grown since."""
        return {name: it for name, it in self._now().items() if it != self._before.get(name)}

    def _now(self) -> dict[str, int]:
        found: dict[str, int] = {}
        rows = Product.objects.filter(pk__in=self._products)
        for pk, category, version, shelvings in rows.values_list("pk", "category", "version", "shelvings"):
            found |= {f"product:{pk}": version, f"shelvings:{pk}": shelvings, f"category:{category}": 0}
        for name in [it for it in found if it.startswith("category:")]:
            found[name] = of_category(int(name.partition(":")[2]))
        collections = Collection.objects.filter(pk__in=self._collections)
        return found | {f"collection:{pk}": it for pk, it in collections.values_list("pk", "shelvings")}
