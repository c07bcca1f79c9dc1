"""Django's system checks of the setting and of the middleware's place."""

from collections.abc import Sequence
from typing import Any

from django.apps.config import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from . import conf


@register()
def check_setting(app_configs: Sequence[AppConfig] | None = None, **_: Any) -> list[CheckMessage]:
    """What is wrong with `TAGALONG`: all of it."""
    return [Error(it.says, hint=it.hint, id=it.id) for it in conf.problems(getattr(settings, "TAGALONG", {}))]
