"""The catalogue in Django's admin, where staff edits it; the pages show it with the next request."""

from django.contrib import admin
from django.db.models import F, QuerySet
from django.http import HttpRequest

from .models import Category, Collection, Product

admin.site.site_header = admin.site.site_title = "Leaf & Kettle"


@admin.register(Category)
class CategoryAdmin(admin.ModelAdmin):
    list_display = ["name", "about"]
    prepopulated_fields = {"slug": ["name"]}


@admin.register(Collection)
class CollectionAdmin(admin.ModelAdmin):
    list_display = ["name", "shelvings"]
    prepopulated_fields = {"slug": ["name"]}


@admin.register(Product)
class ProductAdmin(admin.ModelAdmin):
    list_display = ["name", "category", "price", "stock", "is_listed", "version"]
    list_editable = ["price", "stock"]
    list_filter = ["category", "collections", "is_listed"]
    search_fields = ["name"]
    filter_horizontal = ["collections"]
    actions = ["take_off", "put_on"]

    @admin.action(description="Take off the shelves")
    def take_off(self, request: HttpRequest, queryset: QuerySet[Product]) -> None:
        queryset.update(is_listed=False, version=F("version") + 1)

    @admin.action(description="Put on the shelves")
    def put_on(self, request: HttpRequest, queryset: QuerySet[Product]) -> None:
        queryset.update(is_listed=True, version=F("version") + 1)
