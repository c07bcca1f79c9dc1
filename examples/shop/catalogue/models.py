"""What the shop sells. Every row counts its own changes, and pages show the count: it is how load.py knows
how new a page is.
"""

from typing import Any

from django.db import models
from django.db.models import F
from django.db.models.signals import m2m_changed
from django.dispatch import receiver
from django.urls import reverse
from django_tagalong import CacheAwareManager

# As many drawings in different colours as there are in style.css.
HUES = 8


class Category(models.Model):
    """Each product is in one."""

    name = models.CharField(max_length=60)
    slug = models.SlugField(unique=True)
    about = models.CharField(max_length=200)

    objects: CacheAwareManager["Category"] = CacheAwareManager()

    class Meta:
        ordering = ["name"]
        verbose_name_plural = "categories"

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("category", args=[self.slug])


class Collection(models.Model):
    """Products that are shown together; a product may be in several."""

    name = models.CharField(max_length=60)
    slug = models.SlugField(unique=True)
    shelvings = models.PositiveIntegerField(default=0, editable=False)
    """How often products were put in or taken out."""

    objects: CacheAwareManager["Collection"] = CacheAwareManager()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("collection", args=[self.slug])


class Product(models.Model):
    """Something to buy."""

    category = models.ForeignKey(Category, models.PROTECT, related_name="products")
    collections = models.ManyToManyField(Collection, related_name="products", blank=True)
    name = models.CharField(max_length=80)
    about = models.TextField()
    price = models.DecimalField(max_digits=8, decimal_places=2)
    stock = models.PositiveIntegerField(default=0)
    is_listed = models.BooleanField(default=True)
    version = models.PositiveIntegerField(default=1, editable=False)
    """How often the row was written."""
    shelvings = models.PositiveIntegerField(default=0, editable=False)
    """How often it was put into a collection or taken out."""

    objects: CacheAwareManager["Product"] = CacheAwareManager()

    class Meta:
        ordering = ["name", "pk"]
        indexes = [models.Index(fields=["category", "name"])]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("product", args=[self.pk])

    @property
    def hue(self) -> int:
        """The colour of its drawing."""
        return int(self.pk) % HUES

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Counts the change, too."""
        if self._state.adding:
            super().save(*args, **kwargs)
            return
        self.version = F("version") + 1
        if kwargs.get("update_fields") is not None:
            kwargs["update_fields"] = {*kwargs["update_fields"], "version"}
        super().save(*args, **kwargs)
        self.refresh_from_db(fields=["version"])


@receiver(m2m_changed, sender=Product.collections.through)
def count_shelvings(
    action: str,
    instance: models.Model,
    reverse: bool,
    model: type[models.Model],
    pk_set: set[int] | None,
    **_: Any,
) -> None:
    """Counts at both ends. These writes announce nothing, as they go past `CacheAwareManager`: the relation
    itself is registered, and announces them.
    """
    if action == "pre_clear":
        others = instance.products if reverse else instance.collections  # type: ignore[attr-defined]
        pks = set(others.values_list("pk", flat=True))
    elif action in ("post_add", "post_remove"):
        pks = pk_set or set()
    else:
        return
    if pks:
        one_more = {"shelvings": F("shelvings") + 1}
        type(instance)._base_manager.filter(pk=instance.pk).update(**one_more)
        model._base_manager.filter(pk__in=pks).update(**one_more)
