"""All addresses of the shop."""

from django.contrib import admin
from django.urls import path

from catalogue import api, views
from orders import api as orders_api
from orders import views as orders

urlpatterns = [
    path("", views.home, name="home"),
    path("categories/<slug:slug>", views.category, name="category"),
    path("collections/<slug:slug>", views.collection, name="collection"),
    path("products/<int:pk>", views.product, name="product"),
    path("search", views.search, name="search"),
    path("cart", orders.cart, name="cart"),
    path("cart/add", orders.add, name="cart-add"),
    path("cart/remove", orders.remove, name="cart-remove"),
    path("checkout", orders.checkout, name="checkout"),
    path("orders", orders.mine, name="orders"),
    path("orders/<int:pk>", orders.order, name="order"),
    path("api/products", api.products),
    path("api/products/restock", api.restock),
    path("api/products/<int:pk>", api.product),
    path("api/products/<int:pk>/collections", api.shelve_product),
    path("api/categories/<int:pk>/reprice", api.reprice),
    path("api/collections/<int:pk>/products", api.shelve_collection),
    path("api/orders", orders_api.orders),
    path("admin/", admin.site.urls),
]
