"""Django's side of Tagalong: an app names the tags of its responses and reports what has changed.

What is public is re-exported here, and read where it is when it is first asked for: importing this package
needs no settings and no apps, so that it may be imported from anywhere, `settings.py` and `models.py` too.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .client import Client as Client
    from .client import SidecarError as SidecarError
    from .decorators import cache_tag as cache_tag
    from .decorators import cache_tags as cache_tags
    from .increments import achange as achange
    from .increments import aincrement as aincrement
    from .increments import change as change
    from .increments import increment as increment
    from .memo import tagged_cache as tagged_cache
    from .tags import aggregate_tag as aggregate_tag
    from .tags import constant_tag as constant_tag
    from .tags import custom_tag as custom_tag
    from .tags import list_tag as list_tag
    from .tags import model_tag as model_tag
    from .tags import tag as tag

# Each public name, and the module of this package that it lives in.
_HOMES = {
    "Client": "client",
    "SidecarError": "client",
    "achange": "increments",
    "aincrement": "increments",
    "cache_tag": "decorators",
    "cache_tags": "decorators",
    "change": "increments",
    "increment": "increments",
    "aggregate_tag": "tags",
    "constant_tag": "tags",
    "custom_tag": "tags",
    "list_tag": "tags",
    "model_tag": "tags",
    "tag": "tags",
    "tagged_cache": "memo",
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
