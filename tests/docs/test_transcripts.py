"""What stands below a command on the pages is what it prints."""

import re
import unittest

import pages
import transcripts

WORK = pages.ROOT / "target" / "docs" / "transcripts"

# Who runs the transcripts of a page, or of a folder of them, if not these tests. One without any is a mistake here.
ELSEWHERE = {
    "docs/cookbook/": "tests/cookbook",
    "docs/concepts.md": "tests/cookbook",
    "docs/faq.md": "tests/cookbook",
}
# What is running before the first line of a page.
BEFORE = {"README.md": "tagalong demo --port 8080"}


class Transcripts(unittest.TestCase):
    def test_every_transcript_prints_what_is_shown(self) -> None:
        count, elsewhere = 0, set()
        for page in pages.pages():
            name = pages.name(page)
            shown = [block for block in pages.blocks(page) if block.language == "console"]
            others = {place for place in ELSEWHERE if shown and name.startswith(place)}
            elsewhere |= others
            if others or not shown:
                continue
            with self.subTest(name):
                run = transcripts.Page(page, WORK / name.replace("/", "_"))
                if name in BEFORE:
                    run.serve(name, "tagalong demo", BEFORE[name], ["…", "Ctrl-C…"])
                run.run()
                count += run.count
        self.assertEqual(elsewhere, set(ELSEWHERE), "listed as run elsewhere, and not there")
        self.assertGreater(count, 12, "the pages show hardly any transcripts any more")

    def test_the_quick_start_is_one_of_them(self) -> None:
        page = pages.DOCS / "quick-start.md"
        commands = [command for block in pages.blocks(page) if block.language == "console" for _, command, _ in transcripts.steps(block)]
        for needed in ("tagalong serve", "explain --live", "/order", "reload"):
            self.assertTrue(any(needed in command for command in commands), needed)


class Itself(unittest.TestCase):
    def test_only_what_varies_may_differ(self) -> None:
        for shown, printed, fit in (
            (["cache-status: tagalong; hit; ttl=57"], ["cache-status: tagalong; hit; ttl=59"], True),
            (["cache-status: tagalong; hit; ttl=57"], ["cache-status: tagalong; hit; ttl=-3"], False),
            (["cache-status: tagalong; hit; ttl=1199"], ["cache-status: tagalong; hit; ttl=3599"], False),
            (["cache-status: tagalong; hit; ttl=57"], ["cache-status: tagalong; fwd=uri-miss; stored"], False),
            (["99 in stock"], ["100 in stock"], False),
            (["took 0.304 s"], ["took 1.2 s"], True),
            (["No mistakes.", "…"], ["No mistakes.", "", "namespace  tagalong"], True),
            (["No mistakes.", "…"], ["shop.yaml:1:1: a mistake", "No mistakes."], False),
            (["incremented … by POST /a"], ["incremented 3s ago by POST /a"], True),
            ([], ["something"], False),
            (["something"], [], False),
        ):
            with self.subTest(f"{shown} {printed}"):
                self.assertEqual(transcripts.fits(shown, printed), fit)

    def test_a_page_that_shows_something_else_is_told_of(self) -> None:
        folder = WORK / "itself"
        folder.mkdir(parents=True, exist_ok=True)
        page = pages.ROOT / "target" / "docs" / "wrong.md"
        page.write_text("```console\n$ echo one\none\n$ echo two\nthree\n```\n")
        with self.assertRaisesRegex(transcripts.Wrong, re.escape("target/docs/wrong.md:4")):
            transcripts.Page(page, folder).run()


if __name__ == "__main__":
    unittest.main()
