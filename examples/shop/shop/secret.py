"""The secret key: made once, and the same for all workers and commands afterwards."""

import os
from pathlib import Path

from django.core.management.utils import get_random_secret_key


def secret_key(file: Path) -> str:
    """What the file holds; if it is not there it is made, readable for its owner alone."""
    if not file.exists():
        made = file.with_name(f"{file.name}.{os.getpid()}")
        descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as new:
            new.write(get_random_secret_key())
        try:
            os.link(made, file)  # one of several that start at once wins, and it is whole
        except FileExistsError:
            pass
        finally:
            made.unlink()
    return file.read_text()
