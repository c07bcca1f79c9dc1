"""`manage.py seed`: a catalogue, the same each time; and, with `SHOP_ADMIN_PASSWORD`, the user `admin`."""

import os
import random
from decimal import Decimal
from itertools import product as pairs

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandParser
from django.db import transaction
from django.utils.text import slugify

from catalogue.models import Category, Collection, Product

# Name, what it is for, the nouns of its products, and the lowest price in cents.
CATEGORIES = [
    (
        "Teapots",
        "Round ones, tall ones, and one that pours from both sides.",
        ["teapot", "pot for one", "pot for six"],
        2400,
    ),
    ("Cups", "Thin enough to see the light through, or thick enough to drop.", ["cup", "mug", "bowl"], 600),
    ("Kettles", "They whistle, they swan, they boil.", ["kettle", "gooseneck kettle", "travel kettle"], 3200),
    ("Black teas", "For mornings, and for milk.", ["Assam", "Ceylon", "Keemun"], 450),
    ("Green teas", "Steamed, roasted, rolled.", ["sencha", "gunpowder", "hojicha"], 520),
    ("Sweets", "Something has to go with it.", ["biscuits", "nougat", "candied ginger"], 280),
]
WORDS = [
    "Quiet",
    "Harbour",
    "Copper",
    "Winter",
    "Meadow",
    "Old Town",
    "Blue Door",
    "Sunday",
    "Lighthouse",
    "Orchard",
]
WORDS += [
    "Paper",
    "North",
    "Saffron",
    "River",
    "Hillside",
    "Grandmother's",
    "Slow",
    "Evening",
    "Juniper",
    "Cloud",
]
COLLECTIONS = ["New arrivals", "Gifts", "Made nearby", "Last pieces"]
ABOUT = [
    "Made in small batches by people who drink what they sell.",
    "We use it every day, and have yet to find a fault.",
    "Keeps well, ships well, and looks as if it had always been yours.",
    "The first thing that guests ask about.",
]


class Command(BaseCommand):
    help = "Makes a catalogue, unless there is one."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--products", type=int, default=120, help="how many (120)")
        parser.add_argument("--stock", type=int, default=100, help="pieces of each, at most (100)")

    def handle(self, *, products: int, stock: int, **options: object) -> None:
        _make_admin(os.environ.get("SHOP_ADMIN_PASSWORD"))
        if Product.objects.exists():
            self.stdout.write("There is a catalogue: nothing is made.")
            return
        made = _make_catalogue(products, stock)
        self.stdout.write(f"{made} products in {len(CATEGORIES)} categories.")


def _make_admin(password: str | None) -> None:
    users = get_user_model().objects
    if password and not users.filter(username="admin").exists():
        users.create_superuser("admin", password=password)


@transaction.atomic
def _make_catalogue(count: int, stock: int) -> int:
    chance = random.Random(7)
    names = list(pairs(WORDS, range(len(CATEGORIES)), range(3)))
    chance.shuffle(names)
    categories = [Category(name=name, slug=slugify(name), about=about) for name, about, _, _ in CATEGORIES]
    categories = Category.objects.bulk_create(categories)
    collections = [Collection.objects.create(name=name, slug=slugify(name)) for name in COLLECTIONS]
    rows = []
    for number in range(count):
        word, kind, noun = names[number % len(names)]
        _, _, nouns, cheapest = CATEGORIES[kind]
        more = f" no. {number // len(names) + 1}" if number >= len(names) else ""
        rows.append(
            Product(
                category=categories[kind],
                name=f"{word} {nouns[noun]}{more}",
                about=f"{chance.choice(ABOUT)} {chance.choice(ABOUT)}",
                price=Decimal(cheapest + 50 * chance.randrange(40)) / 100,
                stock=chance.randint(stock // 2, stock),
            )
        )
    rows = Product.objects.bulk_create(rows)
    for collection in collections:
        collection.products.add(*chance.sample(rows, min(len(rows), 15)))
    return len(rows)
