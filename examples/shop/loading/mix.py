"""What visitors read and staff edits, by chance: popular products are read, ordered and edited most."""

import sqlite3
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import quote

QUERIES = [
    "",
    "cup",
    "mug",
    "teapot",
    "copper",
    "blue door",
    "sencha",
    "winter",
    "pot for one",
    "every day",
    "kettle",
]

READS = {"product": 40, "category": 20, "search": 10, "home": 10, "collection": 6, "api": 8, "orders": 6}
EDITS = {"save": 34, "order": 26, "restock": 12, "reprice": 4, "shelve_product": 16, "shelve_collection": 8}


@dataclass(frozen=True)
class Read:
    """A page, and something that it must show."""

    kind: str
    path: str
    must: str = ""


@dataclass(frozen=True)
class Edit:
    """A call of catalogue/edits.py with what it takes, or an order."""

    name: str
    of: dict[str, Any] = field(default_factory=dict)

    @property
    def call(self) -> tuple[str, str, dict[str, Any]]:
        """The same as a request to the API."""
        said = dict(self.of)
        if self.name == "save":
            return "PATCH", f"/api/products/{said.pop('product')}", said
        if self.name == "restock":
            return "POST", "/api/products/restock", said
        if self.name == "reprice":
            return "POST", f"/api/categories/{said.pop('category')}/reprice", said
        if self.name == "shelve_product":
            return "POST", f"/api/products/{said.pop('product')}/collections", said
        if self.name == "shelve_collection":
            return "POST", f"/api/collections/{said.pop('collection')}/products", said
        return "POST", "/api/orders", said


class Mix:
    """Draws reads and edits of a catalogue, the same ones for the same number."""

    def __init__(self, database: Path, number: int) -> None:
        self.chance = Random(number)
        rows = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
        self._products = [pk for (pk,) in rows.execute("select id from catalogue_product order by id")]
        self._categories = rows.execute("select id, slug from catalogue_category").fetchall()
        self._collections = rows.execute("select id, slug from catalogue_collection").fetchall()
        rows.close()
        Random(1).shuffle(self._products)
        # Zipf's law: the n-th of the products is wanted 1/n as often as the first, less steeply.
        self._wanted = list(accumulate((n + 1) ** -0.8 for n in range(len(self._products))))

    def read(self) -> Read:
        """A page."""
        [kind] = self.chance.choices(list(READS), READS.values())
        if kind == "product":
            pk = self._product()
            return Read(kind, f"/products/{pk}", f"product:{pk}")
        if kind == "category":
            pk, slug = self.chance.choice(self._categories)
            return Read(kind, f"/categories/{slug}{self._page()}", f"category:{pk}")
        if kind == "collection":
            pk, slug = self.chance.choice(self._collections)
            return Read(kind, f"/collections/{slug}", f"collection:{pk}")
        if kind == "search":
            return Read(kind, f"/search?q={quote(self.chance.choice(QUERIES))}")
        if kind == "api" and self.chance.random() < 0.3:
            return Read(kind, f"/api/products{self._page()}")
        if kind == "api":
            pk = self._product()
            return Read(kind, f"/api/products/{pk}", f"shelvings:{pk}")
        if kind == "home":
            return Read(kind, "/", f"collection:{self._collections[0][0]}")
        return Read(kind, "/orders")

    def edit(self) -> Edit:
        """A change."""
        chance = self.chance
        [name] = chance.choices(list(EDITS), EDITS.values())
        if name == "save":
            price = {"price": f"{chance.randrange(200, 9000) / 100:.2f}"}
            about = {"about": f"Described anew, {chance.randrange(10**6)}."}
            return Edit(name, {"product": self._product(), **(price if chance.random() < 0.8 else about)})
        if name == "restock":
            return Edit(name, {"products": sorted(self._several(5)), "add": 10})
        if name == "reprice":
            return Edit(
                name, {"category": chance.choice(self._categories)[0], "percent": chance.choice([-9, 10])}
            )
        if name == "shelve_product":
            how = chance.choice(["add", "add", "remove", "remove", "set", "clear"])
            some = chance.sample([pk for pk, _ in self._collections], chance.choice([1, 1, 2]))
            return Edit(name, {"product": self._product(), "how": how, "collections": some})
        if name == "shelve_collection":
            how = chance.choice(["add", "add", "add", "remove", "set", "clear"])
            pk = chance.choice(self._collections)[0]
            return Edit(name, {"collection": pk, "how": how, "products": sorted(self._several(6))})
        return Edit(name, {"products": {str(pk): chance.randint(1, 3) for pk in self._several(2)}})

    def _product(self) -> int:
        return self.chance.choices(self._products, cum_weights=self._wanted)[0]

    def _several(self, most: int) -> set[int]:
        return {self._product() for _ in range(self.chance.randint(1, most))}

    def _page(self) -> str:
        return self.chance.choice(["", "", "?page=2"])
