"""Runs one page in a process of its own: `run.py PAGE`, in the folder of its project. Ends with 0 if all of
it does what the page says; what needs a sidecar is looked at if `MIGRATING_TAGALONG` names one.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import django
from django.core.management import call_command


def main(page: str) -> None:
    sys.path[:0] = [str(Path.cwd())]
    os.environ["DJANGO_SETTINGS_MODULE"] = "project_settings"
    from tests.migrating import checks
    from tests.migrating.pages import shown

    django.setup()
    call_command("migrate", run_syncdb=True, verbosity=0)
    has_sidecar = bool(json.loads(os.environ["MIGRATING_TAGALONG"])["ADMIN_URLS"])
    call_command("check", fail_level="WARNING" if has_sidecar else "ERROR")
    prepare, check = checks.PAGES[page]
    prepare()
    names: dict[str, Any] = {"__name__": "page"}
    for block in shown(page, "python"):
        if block.file is None:
            code = "\n" * (block.line - 1) + block.text
            exec(compile(code, f"{page}.md", "exec"), names)
    check(names, has_sidecar)


if __name__ == "__main__":
    main(sys.argv[1])
