"""What the pages call by its name is called so: metrics, alerts, the words of `Cache-Status`, fields of files, commands in a sentence."""

import re
import unittest

import pages

OPERATIONS = (pages.DOCS / "operations.md").read_text()  # its table of metrics is held to the metrics by tests/it/documents.rs
HEADERS = (pages.DOCS / "headers.md").read_text()
ALERTS = (pages.ROOT / "helm" / "prometheus" / "alerts.yaml").read_text()
REFERENCE = pages.DOCS / "reference"  # made of the binary, as test_reference.py sees to
CLIENTS = pages.ROOT / "clients" / "django" / "src"


def fields() -> set[str]:
    """Every field of configuration and rules by its path, as `upstream.health.path` or `vary_on.query.params.default`, and each section."""
    found = set()
    for page in ("configuration.md", "rules.md"):
        sections = re.split(r"^## `?([^`\n]+)`?$", (REFERENCE / page).read_text(), flags=re.M)
        for name, text in zip(["", *sections[1::2]], sections[::2]):
            section = name.replace("[]", "").removeprefix("rules").strip(".")
            found |= {section} | {f"{section}.{field}".strip(".") for field in re.findall(r"^\| `(\w+)` \|", text, re.M)}
    return found


def unknown_part(command: str, sections: dict[str, str]) -> str | None:
    """The first word of `tagalong …` that is no command, or the first option that its command does not have."""
    words = command.split()
    options = next((n for n, word in enumerate(words) if word.startswith("-")), len(words))
    name = max((" ".join(words[:n]) for n in range(1, options + 1) if " ".join(words[:n]) in sections), key=len)
    if name == "tagalong":
        return words[1] if options > 1 else None
    return next((word for word in words[options:] if re.match(r"--?[a-zA-Z]", word) and not re.search(rf"(?<![\w-]){word}\b", sections[name])), None)


class Names(unittest.TestCase):
    def named(self, pattern: str) -> dict[str, set[str]]:
        """What stands in code on the pages and fits, with the pages."""
        found: dict[str, set[str]] = {}
        for page in pages.pages():
            if page.name != "CHANGELOG.md":
                for word in re.findall(pattern, page.read_text()):
                    found.setdefault(word, set()).add(pages.name(page))
        return found

    def check(self, named: dict[str, set[str]], known: set[str]) -> None:
        unknown = {word: sorted(on) for word, on in named.items() if word not in known}
        if unknown:
            self.fail("\n".join(f"{word} on {', '.join(on)}: there is no such thing" for word, on in unknown.items()))

    def test_every_metric_is_one(self) -> None:
        known = set(re.findall(r"^\| `(tagalong_\w+?)[`{]", OPERATIONS, re.M))
        self.assertGreater(len(known), 25)
        named = self.named(r"\b(tagalong_\w+_(?:total|seconds|bytes|entries)|tagalong_(?:fenced|outbox|tags)\b)")
        self.check({re.sub(r"_(bucket|sum|count)$", "", word): on for word, on in named.items()}, known)

    def test_every_alert_is_one(self) -> None:
        known = set(re.findall(r"- alert: (\w+)", ALERTS))
        self.assertGreater(len(known), 10)
        classes = {name for file in CLIENTS.rglob("*.py") for name in re.findall(r"^class (Tagalong\w+)", file.read_text(), re.M)}
        self.check(self.named(r"`(Tagalong[A-Z]\w+)`"), known | classes)

    def test_every_detail_of_cache_status_is_explained(self) -> None:
        # The tables that begin a row with the word, or words.
        known = {word for row in re.findall(r"^\| ((?:`[a-z-]+`(?:, )?)+) \|", HEADERS, re.M) for word in re.findall(r"`([a-z-]+)`", row)}
        known |= set(re.findall(r"`tagalong; [^`]*detail=([a-z-]+)", HEADERS)) | {"increment-deferred"}
        self.assertGreater(len(known), 35)
        self.check(self.named(r"\bdetail=([a-z][a-z-]+)"), known)

    def test_every_field_that_a_sentence_names_is_one(self) -> None:
        known = fields()
        self.assertGreater(len(known), 150)
        sections = "|".join(sorted({path.partition(".")[0] for path in known if re.fullmatch(r"\w+\..+", path)}))
        named = self.named(rf"`((?:{sections})\.[a-z_.]+)`")
        self.assertGreater(len(named), 50)
        self.check({word: on for word, on in named.items() if not word.endswith((".key", ".pem", ".yaml"))}, known)

    def test_every_command_that_a_sentence_names_is_one(self) -> None:
        parts = re.split(r"^## `(tagalong[^`]*)`$", (REFERENCE / "command-line.md").read_text(), flags=re.M)[1:]
        sections = dict(zip(parts[::2], parts[1::2]))
        named = self.named(r"`(tagalong [a-z][^`\n]*)`")
        self.assertGreater(len(named), 40)
        wrong = {f"{part} in `{command}`": on for command, on in named.items() if (part := unknown_part(command, sections))}
        self.check(wrong, set())
        for command in ("tagalong purge --everything", "tagalong purgatory", "tagalong explain --lively URL", "tagalong tags --yes"):
            self.assertIsNotNone(unknown_part(command, sections), command)


if __name__ == "__main__":
    unittest.main()
