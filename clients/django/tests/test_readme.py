"""What the README says of the setting and of the core is so."""

import re
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction

from django_tagalong import conf

from .app.models import User
from .scripted import ScriptedAdmin

TEXT = (Path(__file__).parents[1] / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT.partition("\n## Models\n")[0], re.DOTALL)


def test_the_table_has_each_key_of_the_setting_with_its_default() -> None:
    table = TEXT.partition("\n## The setting\n")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| `([A-Z_]+)` \| `(.*?)` \|", table, re.MULTILINE))
    defaults = {key: getattr(conf.Settings(), name) for key, name in conf._KEYS.items()}
    assert rows == {key: repr(list(it) if isinstance(it, tuple) else it) for key, it in defaults.items()}


def test_the_settings_of_the_example_are_right() -> None:
    setting: dict[str, Any] = {"INSTALLED_APPS": ["shop"], "MIDDLEWARE": ["another"]}
    exec(BLOCKS[0], setting)
    assert setting["INSTALLED_APPS"] == ["shop", "django_tagalong"]
    assert setting["MIDDLEWARE"] == ["django_tagalong.middleware.TagalongMiddleware", "another"]
    assert list(conf.problems(setting["TAGALONG"])) == []


@pytest.mark.django_db(transaction=True)
def test_the_example_of_a_change_tells_it_after_the_commit(told: ScriptedAdmin) -> None:
    example: dict[str, Any] = {}
    exec(BLOCKS[-1], example)
    user = User.objects.create(pk=42)
    with transaction.atomic():
        example["rename"](user, "Ann")
        assert told.calls == []
    assert [call.json for call in told.calls] == [
        {"tags": ["User:42"]},
        {"rule": "people", "old": {"team": "a"}, "new": {"team": "b"}},
    ]
