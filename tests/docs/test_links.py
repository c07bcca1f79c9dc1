"""Links lead somewhere, and the table of contents has every page."""

import os
import unittest
from urllib.parse import unquote

import pages


class Links(unittest.TestCase):
    def test_every_link_within_the_repository_leads_to_what_is_there(self) -> None:
        wrong, seen = [], 0
        for page in pages.pages():
            for line, target in pages.links(page):
                if "://" in target or target.startswith("mailto:"):
                    continue
                seen += 1
                path, _, anchor = target.partition("#")
                to = (page.parent / unquote(path)).resolve() if path else page
                # By its exact name: some file systems do not tell letter cases apart, others do.
                if not to.is_relative_to(pages.ROOT) or not to.exists() or to != pages.ROOT and to.name not in os.listdir(to.parent):
                    wrong.append(f"{pages.name(page)}:{line}: {target} is not there")
                elif anchor and to.suffix == ".md" and anchor not in pages.anchors(to):
                    wrong.append(f"{pages.name(page)}:{line}: {target}: no such heading")
                elif anchor and to.suffix != ".md":
                    wrong.append(f"{pages.name(page)}:{line}: {target}: an anchor in what has no headings")
        if wrong:
            self.fail("\n" + "\n".join(wrong))
        self.assertGreater(seen, 200)


class Summary(unittest.TestCase):
    def test_every_page_of_docs_has_its_place_in_the_contents_and_no_other_has(self) -> None:
        chapters = pages.chapters()
        self.assertEqual(len(chapters), len(set(chapters)), "a page stands there twice")
        wrong = [f"{chapter} is named in docs/SUMMARY.md and not there" for chapter in chapters if not (pages.ROOT / chapter).is_file()]
        of_docs = {pages.name(page) for page in pages.DOCS.rglob("*.md")} - {"docs/SUMMARY.md"}
        wrong += [f"{page} is not in docs/SUMMARY.md" for page in sorted(of_docs - set(chapters))]
        if wrong:
            self.fail("\n" + "\n".join(wrong))

    def test_pages_that_chapters_link_to_are_chapters(self) -> None:
        """Or the site, which has nothing but chapters, would have holes."""
        chapters = set(pages.chapters())
        outside = []
        for chapter in chapters:
            page = pages.ROOT / chapter
            for line, target in pages.links(page) if page.is_file() else []:
                path = target.partition("#")[0]
                if path.endswith(".md") and "://" not in path:
                    to = pages.name((page.parent / path).resolve())
                    if to not in chapters | {"docs/SUMMARY.md"}:
                        outside.append(f"{chapter}:{line}: {to} is not in docs/SUMMARY.md")
        if outside:
            self.fail("\n" + "\n".join(outside))


if __name__ == "__main__":
    unittest.main()
