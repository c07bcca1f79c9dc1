"""`manage.py edits`: the edits of the API without a request, as a job would make them. The sidecar is told by
its admin interface.

Reads a line of JSON for each, such as {"edit": "reprice", "category": 3, "percent": 5}, and answers with a
line once it is committed and told: {"versions": {…}}, or {"error": "…"}. A sidecar that could not be told is
an error in the log, as the edit is made all the same.
"""

import json
import sys

from django.core.exceptions import ObjectDoesNotExist
from django.core.management.base import BaseCommand

from catalogue.edits import EDITS, MISTAKES


class Command(BaseCommand):
    help = "Edits the catalogue: a line of JSON for each edit, an answer for each line."

    def handle(self, *args: object, **options: object) -> None:
        for line in sys.stdin:
            self.stdout.write(json.dumps(_edited(line)))
            self.stdout.flush()


def _edited(line: str) -> dict[str, object]:
    try:
        said = json.loads(line)
        edit = EDITS[said.pop("edit")]
        return {"versions": edit(**said)}
    except (*MISTAKES, ObjectDoesNotExist, LookupError, ValueError, AttributeError) as wrong:
        return {"error": f"{type(wrong).__name__}: {wrong}"}
