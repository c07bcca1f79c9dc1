"""Carts and orders, which announce themselves to the pages of who has ordered."""

from django.apps import AppConfig


class OrdersConfig(AppConfig):
    name = "orders"

    def ready(self) -> None:
        from django_tagalong import list_tag, register_model

        from .models import Line, Order

        register_model(Order, tags=lambda row: [list_tag("Orders", row.shopper_id)])
        register_model(Line, tags=lambda row: [list_tag("Orders", row.order.shopper_id)])
