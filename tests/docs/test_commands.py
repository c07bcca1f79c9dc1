"""Every line of shell on the pages does what a reader is promised."""

import os
import re
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import harness
import pages
import shell

WORK = pages.ROOT / "target" / "docs"

# What is not run here, by page and first line, and who runs it instead. One that is not shown any more is a mistake.
ELSEWHERE: dict[tuple[str, str], str] = {
    ("docs/datasette.md", "python3 -m venv walk && walk/bin/pip install datasette"): "tests/it/datasette.rs walks it",
    ("examples/shop/README.md", "cd examples/shop"): "nobody: it is about the reader's own shop, while it runs",
}


def first_line(block: pages.Block) -> str:
    return next(line for line in block.lines if line.strip())


class Commands(unittest.TestCase):
    def test_every_line_of_shell_on_the_pages_is_right(self) -> None:
        shown: dict[str, list[pages.Block]] = {}
        elsewhere = set()
        for page in pages.pages():
            for block in filter(shell.is_shell, pages.blocks(page)):
                place = (block.page, first_line(block))
                if place in ELSEWHERE:
                    elsewhere.add(place)
                else:
                    shown.setdefault(block.page, []).append(block)
        self.assertEqual(elsewhere, set(ELSEWHERE), "listed as run elsewhere, and not shown")
        bins = shell.bin_folder(WORK / "bin")
        app = harness.start_app()
        address = f"http://127.0.0.1:{app.server_address[1]}"

        def run(page: str) -> list[str]:
            return shell.run(page, shown[page], bins, WORK / "pages" / page.replace("/", "_"), address)

        try:
            with ThreadPoolExecutor(os.cpu_count()) as workers:
                wrong = [line for lines in workers.map(run, shown) for line in lines]
        finally:
            app.shutdown()
            app.server_close()
        if wrong:
            self.fail("\n" + "\n".join(wrong))
        calls = sum(shell.calls(WORK / "pages" / page.replace("/", "_")) for page in shown)
        self.assertGreater(calls, 100, "the pages show hardly a command any more")


WRONG = r"""
tagalong purge --tags User:42
tagalong serve --upstream http://127.0.0.1:8000 --liste 127.0.0.1:8080
tagalong check --rules nowhere
tagalong stats | grep 'no such line'
kubectl exec deploy/shop -c tagalong -- tagalong statistics
curl http://127.0.0.1:9080/v1/statistics
curl -X DELETE http://127.0.0.1:9080/v1/stats
curl -H "Authorization: Bearer $TAGALONG_ADMIN_TOKEN" -H 'Content-Type: application/json' -d '{"tag": "User:42"}' http://127.0.0.1:9080/v1/purge
curl https://tagalong.example/install.sh
make tests
make fuzz SECONDS_EACH=30
cargo install --path tagalong
cargo bench --bench hits
cargo test --test it no_such_module
npm install tagalong-cash
pip install ./clients/django django-tagaling
python manage.py tagalong forget --tag Book:7
examples/shop/load.py --fast
examples/shop/README.md
wget http://127.0.0.1:8080/
"""


class Itself(unittest.TestCase):
    def test_what_is_wrong_is_told_line_by_line(self) -> None:
        block = pages.Block("wrong.md", 1, "sh", tuple(WRONG.strip().splitlines()))
        bins = shell.bin_folder(WORK / "bin-itself")
        app = harness.start_app()
        try:
            wrong = shell.run("wrong.md", [block], bins, WORK / "itself", f"http://127.0.0.1:{app.server_address[1]}")
        finally:
            app.shutdown()
            app.server_close()
        told = {found[1] for line in wrong if (found := re.match(r"wrong\.md:(\d+):", line))}
        missed = [line for number, line in enumerate(block.lines, 1) if str(number) not in told]
        self.assertEqual(missed, [], f"not told of, but only of {wrong}")


if __name__ == "__main__":
    unittest.main()
