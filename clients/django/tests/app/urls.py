"""Which view answers where."""

from django.contrib import admin
from django.urls import path

from . import views

urlpatterns = [
    path("admin/", admin.site.urls),
    path("users/<str:pk>", views.user),
    path("save/<int:pk>", views.save_thrice),
]
