"""Which models announce their changes, and calls by hand for what no signal tells of.

Decides which registrations a write through some class concerns. Knows nothing of signals and transactions,
and not what a write has to say beside the tag of its row.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from django.apps import apps
from django.db import router
from django.db.models import Model

from .changes import RuleChanges, rule_changes
from .increments import increment
from .rows import Match, ModelConfig, Tags, kin, tag_of
from .tags import tag

ModelOrName = type[Model] | str


_registered: dict[str, ModelConfig] = {}  # by `app.model` in small letters
_waiting: dict[str, dict[str, Any]] = {}  # registered by name before the model was there
_matches: dict[type[Model], tuple[Match, ...]] = {}  # what `of` has found

# Of several answers the first of these that was given.
_WORST = (False, None, True)


def register_model(
    model: ModelOrName,
    tag_name: str | None = None,
    *,
    tags: Callable[[Any], Tags] | None = None,
    on_create: Callable[..., Tags] | None = None,
    on_update: Callable[..., Tags] | None = None,
    on_delete: Callable[..., Tags] | None = None,
    changes: RuleChanges | None = None,
    when: Callable[[Any], bool] | None = None,
    auto_connect: bool = True,
) -> None:
    """Has every write of a row increment `tag_name:pk`, after its commit; `tag_name` is the name of the
    class if it is not given.

    `model` is a class, or "app.Model", before that model is loaded too. Registering again replaces what
    was said before.

    - `tags(row)` gives further tags. It is asked of the row before and after, so that a book that moves
      from one shelf to another increments both. So is the attribute `cache_key` of the model, if it has
      one: text or a list, or a method giving that.
    - `on_create(row)`, `on_update(row, update_fields=…)`, `on_delete(row)` are called within the
      transaction, and may give tags as well. `on_delete` is called while the row is still there.
    - `changes` reports differences in attributes: see `RuleChange`.
    - `when(row)` says whether a row announces anything; one for which it is true before or after does.
    - `auto_connect=False` connects no signals: only `CacheAwareManager` and calls by hand announce.

    What raises among these is logged, and `tag_name:pk` is sent all the same.
    """
    said = {
        "tags": tags,
        "on_create": on_create,
        "on_update": on_update,
        "on_delete": on_delete,
        "changes": rule_changes(changes),
        "when": when,
        "auto_connect": auto_connect,
    }
    if tag_name is not None:
        tag(tag_name)  # raises for what cannot name a tag
    if not isinstance(model, str):
        _register(model, tag_name, said)
    elif apps.models_ready:
        _register(apps.get_model(model), tag_name, said)
    else:
        _waiting[_label(model)] = {"tag_name": tag_name, "said": said}


def unregister_model(model: ModelOrName) -> None:
    """Has the model announce nothing any more. One that is not registered is no error."""
    label = _label(model)
    _waiting.pop(label, None)
    if _registered.pop(label, None) is not None:
        _changed()


def clear_all() -> None:
    """Unregisters all models."""
    _registered.clear()
    _waiting.clear()
    _changed()


def reset_configuration() -> None:
    """Unregisters all models and many-to-many relations: for tests, which otherwise see what others have
    registered.
    """
    from . import m2m

    clear_all()
    m2m.clear_all()


def is_registered(model: ModelOrName) -> bool:
    """Whether the model is registered; by its name before it is loaded, too."""
    label = _label(model)
    return label in _registered or label in _waiting


def get_registered_models() -> list[type[Model]]:
    """The models that are registered and loaded, in the order of their registration."""
    return [config.model for config in _registered.values()]


def get_registered_config(model: ModelOrName) -> ModelConfig | None:
    """What was said of the model; None where it is not registered or not loaded."""
    return _registered.get(_label(model))


def get_tag_name_for_model(model: ModelOrName) -> str | None:
    """The name of the model's tags; None where it is not registered or not loaded."""
    config = get_registered_config(model)
    return None if config is None else config.tag_name


def models_are_loaded() -> None:
    """Registers what was registered by name before. Raises `LookupError` for a name that no model has."""
    for name, waited in list(_waiting.items()):
        _register(apps.get_model(name), **waited)


def invalidate_model_tag(model: ModelOrName, pk: object, *, using: str | None = None) -> bool | None:
    """Increments the tag of one row, for changes that no signal tells of. `model` is a class, "app.Model"
    or the name of the tag.

    After the commit of the transaction of the database `using`; where that is not given, of the one that the
    row is from, or rows of the model are written to, and of `default` where only a tag is named.

    Answers as `increment` does: True once every sidecar has committed it, None where it travels later,
    False where it failed.
    """
    return invalidate_bulk(model, [pk], using=using)


def invalidate_bulk(model: ModelOrName, pks: Iterable[object], *, using: str | None = None) -> bool | None:
    """Increments the tags of several rows in one call: primary keys, or instances. As
    `invalidate_model_tag`.
    """
    by_database: dict[str | None, list[str]] = {}
    for it in pks:
        pk = it.pk if isinstance(it, Model) else it
        by_database.setdefault(using or _database(model, it), []).extend(_named_tags(model, pk))
    answers = [increment(*tags, using=alias) for alias, tags in by_database.items()]
    return min(answers, key=_WORST.index, default=None)


def invalidate_scope(name: str, *instance: object, using: str | None = None) -> bool | None:
    """Increments a tag that many rows share: `invalidate_scope("Shelf", 7)` is `Shelf:7`. As
    `invalidate_model_tag`.
    """
    return increment(tag(name, *instance), using=using)


def of(sender: type[Model]) -> tuple[Match, ...]:
    """The registrations that concern rows written through this class."""
    if sender not in _matches:
        _matches[sender] = tuple(_find(sender))
    return _matches[sender]


def heard() -> list[type[Model]]:
    """The models whose signals are heard."""
    return [config.model for config in _registered.values() if config.auto_connect]


def _register(model: type[Model], tag_name: str | None, said: dict[str, Any]) -> None:
    if model._meta.abstract:
        raise ValueError(f"{model._meta.label} is abstract: register the models that have tables")
    config = ModelConfig(model=model, tag_name=tag_name or model.__name__, **said)
    for name in (
        name for change in config.changes for name in change.sources.values() if isinstance(name, str)
    ):
        model._meta.get_field(name)  # raises where there is none
    _waiting.pop(model._meta.label_lower, None)
    _registered[model._meta.label_lower] = config
    _changed()


def _changed() -> None:
    from . import orphans, signals  # these import this module

    _matches.clear()
    signals.sync()
    orphans.sync()


def _label(model: ModelOrName) -> str:
    if not isinstance(model, str):
        return model._meta.label_lower
    app_label, _, name = model.rpartition(".")
    return f"{app_label}.{name.lower()}"


def _find(sender: type[Model]) -> Iterator[Match]:
    for config in _registered.values():
        whole = kin(sender, config.model)
        if whole is not None:
            yield Match(config, whole)


def _named_tags(model: ModelOrName, pk: object) -> list[str]:
    """The tags of a row: of all registrations that it concerns, or of its own name where there is none."""
    models = _named(model) if isinstance(model, str) else [model]
    if not models:
        return [tag(str(model), *(pk if isinstance(pk, tuple) else (pk,)))]
    configs = [match.config for it in models for match in of(it)] or [
        ModelConfig(it, it.__name__) for it in models
    ]
    return list(dict.fromkeys(tag_of(config, pk) for config in configs))


def _database(model: ModelOrName, row: object) -> str | None:
    """Where the row, an instance or a key, is written; None: it is of no model."""
    models = _named(model) if isinstance(model, str) else [model]
    hints = {"instance": row} if isinstance(row, Model) else {}
    return router.db_for_write(models[0], **hints) if models else None


def _named(name: str) -> list[type[Model]]:
    """The models that are meant by "app.Model", registered or not, or registered ones by the name of their
    class.
    """
    app_label, _, model_name = name.rpartition(".")
    found = apps.all_models.get(app_label, {}).get(model_name.lower())
    if found is not None:
        return [found]
    return [config.model for config in _registered.values() if config.model.__name__ == name]


class ModelTagManager:
    """The same functions under the name that users of fragmented-keys-django know."""

    register_model = staticmethod(register_model)
    unregister_model = staticmethod(unregister_model)
    clear_all = staticmethod(clear_all)
    is_registered = staticmethod(is_registered)
    get_registered_models = staticmethod(get_registered_models)
    get_registered_config = staticmethod(get_registered_config)
    get_tag_name_for_model = staticmethod(get_tag_name_for_model)
    invalidate_model_tag = staticmethod(invalidate_model_tag)
    invalidate_scope = staticmethod(invalidate_scope)
    invalidate_bulk = staticmethod(invalidate_bulk)
