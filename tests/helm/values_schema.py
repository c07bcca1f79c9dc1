"""values.schema.json: what is in it of this chart is written by hand; what `config` and `rules` may say is that of the binary."""

import json
import subprocess
from pathlib import Path

Schema = dict[str, object]


def is_dropped(key: str, value: object) -> bool:
    """Descriptions are in docs/, and twice as long as the rest (a field may be called `description`); looking ahead is more than the
    regular expressions of Go can."""
    return isinstance(value, str) and (key in ("description", "$schema", "title") or (key == "pattern" and "(?!" in value))


def shortened(schema: object) -> object:
    if isinstance(schema, list):
        return [shortened(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: shortened(value) for key, value in schema.items() if not is_dropped(key, value)}
    words = [one.get("const") for one in made.get("oneOf", [])]
    if words and None not in words:  # one sentence in place of one for each word
        del made["oneOf"]
        made["enum"] = words
    return made


def moved(schema: object, below: str) -> object:
    """The references of a document that stands below another pointer now."""
    if isinstance(schema, list):
        return [moved(one, below) for one in schema]
    if not isinstance(schema, dict):
        return schema
    return {key: value.replace("#/", f"{below}/", 1) if key == "$ref" else moved(value, below) for key, value in schema.items()}


def of_binary(binary: Path, kind: str) -> Schema:
    document = json.loads(subprocess.check_output([binary, "schema", kind]))
    return moved(shortened(document), f"#/$defs/{kind}")


def current(text: str, binary: Path) -> str:
    """The file as it should be: as it is, with the binary's schemas, each on a line."""
    schema = json.loads(text)
    schema.pop("$defs", None)
    written = json.dumps(schema, indent=2, ensure_ascii=False).removesuffix("\n}")
    lines = [f"    {json.dumps(kind)}: {json.dumps(of_binary(binary, kind), ensure_ascii=False)}" for kind in ("config", "rules")]
    return f'{written},\n  "$defs": {{\n' + ",\n".join(lines) + "\n  }\n}\n"
