"""Django's side of Tagalong: an app names the tags of its responses and reports what has changed.

What is public is re-exported here, and read where it is when it is first asked for: importing this package
needs no settings and no apps, so that it may be imported from anywhere, `settings.py` and `models.py` too.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .changes import RuleChange as RuleChange
    from .client import Client as Client
    from .client import SidecarError as SidecarError
    from .decorators import cache_tag as cache_tag
    from .decorators import cache_tags as cache_tags
    from .increments import achange as achange
    from .increments import aincrement as aincrement
    from .increments import change as change
    from .increments import increment as increment
    from .m2m import register_m2m as register_m2m
    from .m2m import unregister_m2m as unregister_m2m
    from .managers import CacheAwareManager as CacheAwareManager
    from .managers import CacheAwareQuerySet as CacheAwareQuerySet
    from .memo import tagged_cache as tagged_cache
    from .registry import ModelTagManager as ModelTagManager
    from .registry import clear_all as clear_all
    from .registry import get_registered_config as get_registered_config
    from .registry import get_registered_models as get_registered_models
    from .registry import get_tag_name_for_model as get_tag_name_for_model
    from .registry import invalidate_bulk as invalidate_bulk
    from .registry import invalidate_model_tag as invalidate_model_tag
    from .registry import invalidate_scope as invalidate_scope
    from .registry import is_registered as is_registered
    from .registry import register_model as register_model
    from .registry import reset_configuration as reset_configuration
    from .registry import unregister_model as unregister_model
    from .tags import aggregate_tag as aggregate_tag
    from .tags import constant_tag as constant_tag
    from .tags import custom_tag as custom_tag
    from .tags import list_tag as list_tag
    from .tags import model_tag as model_tag
    from .tags import tag as tag

# Each public name, and the module of this package that it lives in.
_HOMES = {
    "RuleChange": "changes",
    "Client": "client",
    "SidecarError": "client",
    "cache_tag": "decorators",
    "cache_tags": "decorators",
    "achange": "increments",
    "aincrement": "increments",
    "change": "increments",
    "increment": "increments",
    "register_m2m": "m2m",
    "unregister_m2m": "m2m",
    "CacheAwareManager": "managers",
    "CacheAwareQuerySet": "managers",
    "tagged_cache": "memo",
    "ModelTagManager": "registry",
    "clear_all": "registry",
    "get_registered_config": "registry",
    "get_registered_models": "registry",
    "get_tag_name_for_model": "registry",
    "invalidate_bulk": "registry",
    "invalidate_model_tag": "registry",
    "invalidate_scope": "registry",
    "is_registered": "registry",
    "register_model": "registry",
    "reset_configuration": "registry",
    "unregister_model": "registry",
    "aggregate_tag": "tags",
    "constant_tag": "tags",
    "custom_tag": "tags",
    "list_tag": "tags",
    "model_tag": "tags",
    "tag": "tags",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
