"""The pages can be made a site: what they link to comes along. (mdBook itself takes minutes to build: `make site`, by night.)"""

import importlib.util
import tomllib
import unittest
from pathlib import Path
from urllib.parse import unquote

import pages

FOLDER = pages.ROOT / "target" / "docs" / "site"


def site():
    spec = importlib.util.spec_from_file_location("site_of_pages", pages.ROOT / "scripts" / "site.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Site(unittest.TestCase):
    def test_every_link_of_the_gathered_pages_leads_to_what_is_gathered(self) -> None:
        site().gather(FOLDER)
        wrong, seen = [], 0
        for page in FOLDER.rglob("*.md"):
            for _, target in pages.links(page, FOLDER):
                path = unquote(target.partition("#")[0])
                if path and "://" not in target:
                    seen += 1
                    if not (page.parent / path).is_file():
                        wrong.append(f"{page.relative_to(FOLDER)}: {target}")
        if wrong:
            self.fail("\n".join(wrong))
        self.assertGreater(seen, 200)

    def test_mdbook_is_told_where_they_are(self) -> None:
        book = tomllib.loads((pages.ROOT / "book.toml").read_text())
        self.assertEqual(Path(book["book"]["src"]), Path("target/site/pages"))
        self.assertEqual(Path(book["build"]["build-dir"]), Path("target/site/html"))


if __name__ == "__main__":
    unittest.main()
