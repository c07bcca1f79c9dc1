"""Who has ordered what."""

from decimal import Decimal
from uuid import uuid4

from django.db import models
from django.urls import reverse
from django_tagalong import CacheAwareManager

from catalogue.models import Product


class Shopper(models.Model):
    """Somebody with a session. The key is in the session and in tags, so it is no secret: who has it has
    nothing.
    """

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    since = models.DateTimeField(auto_now_add=True)


class Order(models.Model):
    """What was bought at once."""

    shopper = models.ForeignKey(Shopper, models.CASCADE, related_name="orders")
    placed = models.DateTimeField(auto_now_add=True)
    is_sent = models.BooleanField(default=False)

    objects: CacheAwareManager["Order"] = CacheAwareManager()

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"Order {self.pk}"

    def get_absolute_url(self) -> str:
        return reverse("order", args=[self.pk])

    @property
    def total(self) -> Decimal:
        """What all of it costs."""
        return sum((it.total for it in self.lines.all()), Decimal(0))


class Line(models.Model):
    """So many of a product, under the name and at the price that it had then."""

    order = models.ForeignKey(Order, models.CASCADE, related_name="lines")
    product = models.ForeignKey(Product, models.SET_NULL, null=True)
    name = models.CharField(max_length=80)
    price = models.DecimalField(max_digits=8, decimal_places=2)
    quantity = models.PositiveIntegerField()

    objects: CacheAwareManager["Line"] = CacheAwareManager()

    class Meta:
        ordering = ["name"]

    @property
    def total(self) -> Decimal:
        """What they cost."""
        return self.price * self.quantity
