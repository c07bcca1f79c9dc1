"""What the pages call by its name is called so: metrics, alerts, the words of `Cache-Status`."""

import re
import unittest

import pages

OPERATIONS = (pages.DOCS / "operations.md").read_text()  # its table of metrics is held to the metrics by tests/it/documents.rs
HEADERS = (pages.DOCS / "headers.md").read_text()
ALERTS = (pages.ROOT / "helm" / "prometheus" / "alerts.yaml").read_text()
CLIENTS = pages.ROOT / "clients" / "django" / "src"


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


if __name__ == "__main__":
    unittest.main()
