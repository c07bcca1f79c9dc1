"""What docs/cookbook and the pages beside it show is what happens, behind the real sidecar."""

import dataclasses
import re
import unittest
import unittest.mock
import xml.etree.ElementTree
from pathlib import Path

from pages import Recipe, Step, Unclear, answers, recipe, recipes, steps
from running import Running, Wrong

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
# Pages of recipes: each section is one. The others may show transcripts.
COOKBOOK = sorted(path for path in (DOCS / "cookbook").glob("*.md") if path.name != "README.md")
BESIDE = [DOCS / "concepts.md", DOCS / "faq.md"]


def shown(pages: list[Path]) -> list[Recipe]:
    return [found for page in pages for found in recipes(page)]


class Cookbook(unittest.TestCase):
    def test_every_recipe_does_what_it_shows(self) -> None:
        for found in [*shown(COOKBOOK), *(section for section in shown(BESIDE) if section.steps)]:
            with self.subTest(page=found.page.name, recipe=found.title), Running(found) as running:
                running.run()

    def test_every_section_is_a_recipe_that_can_be_run(self) -> None:
        found = shown(COOKBOOK)
        self.assertGreater(len(found), 15)
        for one in found:
            with self.subTest(page=one.page.name, recipe=one.title):
                self.assertTrue(one.answers, "what does the app answer?")
                self.assertTrue(any(step.printed for step in one.steps), "what does one see?")


class Security(unittest.TestCase):
    def test_every_test_that_the_security_page_names_is_there(self) -> None:
        page = (DOCS / "security.md").read_text()
        paragraphs = re.findall(r"^Guarded by .*?\n\n", page, re.M | re.S)
        cells = re.findall(r"^\|[^|]*\|[^|]*\|([^|]*)\|$", page, re.M)
        named = set(re.findall(r"`([a-z0-9]+(?:_[a-z0-9]+)+)`", " ".join(paragraphs + cells)))
        self.assertGreater(len(named), 60)
        sources = [path.read_text() for folder in ("tests/it", "src") for path in (DOCS.parent / folder).rglob("*.rs")]
        text = re.sub(r"^ +", "", "\n".join(sources), flags=re.M)
        there = set(re.findall(r"^#\[(?:tokio::)?test\b.*\n(?:#\[.*\n)*(?:async )?fn (\w+)", text, re.M))
        self.assertEqual(named - there, set())


class Pictures(unittest.TestCase):
    def test_every_picture_is_shown_says_what_it_shows_and_asks_nobody(self) -> None:
        page = (DOCS / "concepts.md").read_text()
        pictures = list((DOCS / "pictures").glob("*.svg"))
        shown_there = re.findall(r"!\[[^\]]{40,}\]\((pictures/[^)]*)\)", page)
        self.assertEqual({f"pictures/{path.name}" for path in pictures}, set(shown_there))
        for path in pictures:
            with self.subTest(path.name):
                root = xml.etree.ElementTree.parse(path).getroot()
                names = [element.tag.rpartition("}")[2] for element in root.iter()]
                self.assertEqual(names[1:3], ["title", "desc"])
                self.assertFalse({"script", "foreignObject", "image", "use", "a"} & set(names))
                self.assertEqual([], re.findall(r"href|@import|url\((?!#)| on\w+=", path.read_text()))


class Reading(unittest.TestCase):
    """A page that says something wrong does not pass."""

    PAGE = """
```http
GET /page

HTTP/1.1 200 OK
Tagalong-Cache-Control: max-age=60
Cache-Tag: page

GET /page
Cookie: theme=dark

HTTP/1.1 404 Not Found

gone
```

```console
$ curl -si http://127.0.0.1:8080/page | grep -i ^cache-status
cache-status: tagalong; fwd=uri-miss; stored
$ curl -si http://127.0.0.1:8080/page | grep -i ^cache-status
cache-status: tagalong; hit; ttl=60
```
"""

    def test_a_transcript_that_is_wrong_fails(self) -> None:
        right = recipe(Path("page.md"), "right", self.PAGE)
        for wrong in ["cache-status: tagalong; hit; ttl=90", "cache-status: tagalong; fwd=uri-miss; stored"]:
            last = dataclasses.replace(right.steps[1], printed=[wrong])
            with self.subTest(wrong), Running(dataclasses.replace(right, steps=[right.steps[0], last])) as running:
                self.assertRaises(Wrong, running.run)
        with Running(right) as running:
            running.run()

    def test_a_webhook_that_is_not_called_fails(self) -> None:
        silent = dataclasses.replace(recipe(Path("page.md"), "silent", self.PAGE), steps=[], told=['{"tags": ["page"]}'])
        with Running(silent) as running, unittest.mock.patch("running.PATIENCE", 0.1):
            self.assertRaises(Wrong, running.run)

    def test_what_nobody_can_run_is_refused(self) -> None:
        for block in ["Cache-Tag: page", "GET /page\n\nCache-Tag: page", "GET /page\n\nHTTP/1.1 200 OK\nno field"]:
            with self.subTest(block):
                self.assertRaises(Unclear, answers, block)
        self.assertRaises(Unclear, steps, "printed by nobody\n$ true")
        odd = Recipe(Path("page.md"), "odd", steps=[Step("somebody sneezes", is_remark=True)])
        with Running(odd) as running:
            self.assertRaises(Unclear, running.run)

    def test_the_app_answers_by_the_fields_that_a_request_has(self) -> None:
        with Running(recipe(Path("page.md"), "fields", self.PAGE)) as running:
            self.assertEqual(running.app.answer("GET", "/page?a=1", {}).status, 200)
            self.assertEqual(running.app.answer("HEAD", "/page", {"Cookie": "a=1; theme=dark"}).body, "gone")
            self.assertIsNone(running.app.answer("POST", "/page", {}))


if __name__ == "__main__":
    unittest.main()
