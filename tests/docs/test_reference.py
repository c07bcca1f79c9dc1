"""The reference is what the binary says."""

import subprocess
import sys
import unittest

import harness
import pages


class Reference(unittest.TestCase):
    def test_every_page_of_it_is_what_would_be_made_now(self) -> None:
        program = pages.ROOT / "scripts" / "reference.py"
        done = subprocess.run([sys.executable, program, harness.BINARY, "--check"], capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_every_field_and_every_command_stands_there(self) -> None:
        for page, needed in (
            ("rules.md", ("`id`", "`on_invalidate`", "`rules[].vary_on.query.params[]`", "`stale_while_revalidate`")),
            ("configuration.md", ("`namespace`", "`listen[].tls`", "`max_concurrent`", "`otlp_endpoint`")),
            ("command-line.md", ("`tagalong serve`", "`tagalong tags increment`", "--upstream <URL>")),
        ):
            text = (pages.DOCS / "reference" / page).read_text()
            for word in needed:
                self.assertIn(word, text, page)


if __name__ == "__main__":
    unittest.main()
