"""Which view answers where."""

from django.contrib import admin
from django.urls import include, path

from . import aviews, views

urlpatterns = [
    path("admin/", admin.site.urls),
    path("shop/", include("tests.app.shop")),
    path("users/<int:pk>", views.user),
    path("value", views.value),
    path("untold/value", views.value),
    path("value/<path:value>", views.value),
    path("pair", views.value),
    path("shelves", views.shelves),
    path("write/<str:how>/<int:pk>", views.write),
    path("awrite/<str:how>/<int:pk>", aviews.write),
    path("stream/<int:pk>", views.stream),
    path("astream/<int:pk>", aviews.stream),
    path("meet/<str:mine>/<str:other>", aviews.meet),
    path("tags/<int:count>", views.tags),
]
