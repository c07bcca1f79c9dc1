"""Orders in Django's admin; whoever has ordered sees with the next request that it was sent."""

from django.contrib import admin

from .models import Line, Order


class LineInline(admin.TabularInline):
    model = Line
    extra = 0


@admin.register(Order)
class OrderAdmin(admin.ModelAdmin):
    list_display = ["__str__", "placed", "is_sent"]
    list_filter = ["is_sent"]
    inlines = [LineInline]
