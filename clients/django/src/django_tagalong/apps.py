"""The app: it has Django check the setting, and nothing else happens when it starts."""

from django.apps import AppConfig


class TagalongConfig(AppConfig):
    """`django_tagalong` in `INSTALLED_APPS`."""

    name = "django_tagalong"
    label = "django_tagalong"
    verbose_name = "Tagalong"

    def ready(self) -> None:
        from . import checks  # noqa: F401 - registers them
