"""The app: it has Django check the setting, and hears of the models that were registered by name."""

from django.apps import AppConfig


class TagalongConfig(AppConfig):
    """`django_tagalong` in `INSTALLED_APPS`."""

    name = "django_tagalong"
    label = "django_tagalong"
    verbose_name = "Tagalong"

    def ready(self) -> None:
        from . import checks, m2m, registry  # noqa: F401 - registers them

        registry.models_are_loaded()
        m2m.models_are_loaded()
