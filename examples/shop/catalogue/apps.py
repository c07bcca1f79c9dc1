"""The catalogue, whose models announce their changes once they are loaded."""

from django.apps import AppConfig


class CatalogueConfig(AppConfig):
    name = "catalogue"

    def ready(self) -> None:
        from . import announce

        announce.register()
