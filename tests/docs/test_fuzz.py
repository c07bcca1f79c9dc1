"""What is fuzzed when something has changed: every target is known by what it tries."""

import json
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

import pages

FUZZ = pages.ROOT / "tests" / "fuzz"
sys.path.append(str(FUZZ))

import run  # noqa: E402


class Fuzzing(unittest.TestCase):
    def test_every_target_has_a_row_seeds_words_and_parts_that_are_there(self) -> None:
        self.assertEqual(sorted(run.TARGETS), sorted(file.stem for file in (FUZZ / "fuzz_targets").glob("*.rs")))
        manifest = (FUZZ / "Cargo.toml").read_text()
        for name, target in run.TARGETS.items():
            with self.subTest(name):
                self.assertIn(f'name = "{name}"', manifest)
                self.assertTrue((FUZZ / f"{name}.dict").is_file())
                self.assertTrue(any((FUZZ / "corpus" / name).iterdir()))
                for part in target.parts:
                    self.assertTrue((pages.ROOT / part).exists() or (pages.ROOT / f"{part}.rs").is_file(), part)

    def test_what_has_changed_says_what_is_fuzzed(self) -> None:
        for changed, expected in [
            ([], []),
            (["README.md", "src/demo/mod.rs", "tests/it/laws.rs"], []),
            (["src/proxy/fast_path.rs"], ["fast_path"]),
            (["src/proxy/respond.rs"], []),
            (["src/shared/record.rs"], ["records"]),
            (["src/yaml/mod.rs", "src/store/codec/entry.rs"], ["admin", "codec", "config", "rules"]),
            (["tests/fuzz/src/tokens.rs"], ["tokens"]),
            (["tests/fuzz/corpus/plan/rich"], ["plan"]),
            (["tests/fuzz/src/plan.rs"], ["plan", "spelled"]),
            (["src/tags/table.rs"], ["admin"]),
            (["src/fetch/schedule.rs"], ["admin"]),
            (["src/dialects/lists.rs"], ["admin", "encodings", "headers"]),
            (["src/rules/mode.rs"], ["admin", "encodings", "plan", "rules", "spelled", "tokens"]),
            (["src/store/memory.rs"], ["admin"]),
            (["tests/fuzz/ranges.dict"], ["ranges"]),
            (["tests/fuzz/fuzz_targets/codec.rs"], ["codec"]),
            (["tests/fuzz/src/fields.rs"], sorted(run.TARGETS)),
            (["Cargo.lock"], sorted(run.TARGETS)),
            (["tests/fuzz/run.py", "README.md"], sorted(run.TARGETS)),
        ]:
            with self.subTest(changed):
                self.assertEqual(run.concerned(changed), expected)

    def test_a_commit_that_nobody_knows_is_no_reason_to_fuzz_nothing(self) -> None:
        said = subprocess.run([str(FUZZ / "run.py"), "--list", "--since", "0" * 40], check=True, capture_output=True, text=True)
        self.assertEqual(said.stdout.split(), sorted(run.TARGETS))

    def test_a_target_has_reached_its_end_when_the_second_half_of_its_inputs_brought_little(self) -> None:
        for name, runs, reached, late, is_done in [
            ("nothing more than before", 100_000, [(10, 0.0, 900)], 0, True),
            ("little", 100_000, [(10, 0.0, 900), (50_005, 1.0, 992), (50_006, 2.0, 1_000)], 8, True),
            ("one of a hundred", 100_000, [(10, 0.0, 900), (50_005, 1.0, 990), (50_006, 2.0, 1_000)], 10, False),
            ("all of it late, but soon", 100_000, [(10, 0.0, 900), (90_000, 0.1, 1_000)], 100, False),
            ("few inputs", 99_999, [(10, 0.0, 900)], 0, False),
        ]:
            with self.subTest(name):
                found = run.Found(seconds=100, runs=runs, reached=reached)
                self.assertEqual((found.late, found.is_done()), (late, is_done))

    def test_the_page_is_made_of_the_last_run_of_each_target(self) -> None:
        with tempfile.TemporaryDirectory() as folder, mock.patch.object(run, "BUILT", pathlib.Path(folder)), mock.patch.object(run, "PAGE", pathlib.Path(folder, "page.md")):
            pathlib.Path(folder, "found").mkdir()
            for n, name in enumerate(run.TARGETS):
                with self.assertRaises(SystemExit) as left:
                    run.write()
                self.assertIn(name, str(left.exception))
                reached = [[1, 0.0, 900], [90_000, 5.0, 910 if n else 900]]
                found = run.Found(seconds=10.0 + n, worked=5, day="2026-01-01", commit="0123abcd", jobs=2, runs=100_000, seeds=800, reached=reached, inputs="7/9b")
                run.kept(name).write_text(json.dumps(run.dataclasses.asdict(found)))
            run.write()
            told = run.PAGE.read_text()
            self.holds(told)
            self.assertIn("| `rules` | 19 s | 5 s | 100,000 | 20,000 | 800 | 910 | 10 (1.10 %) | 5 s | 7/9b | `0123abcd` |", told)
            broken = run.last_runs()["rules"]
            broken.broke = True
            run.kept("rules").write_text(json.dumps(run.dataclasses.asdict(broken)))
            with self.assertRaises(SystemExit) as left:
                run.write()
            self.assertIn("rules", str(left.exception))

    def test_the_page_has_a_row_of_each_target_and_says_which_have_reached_their_end(self) -> None:
        self.holds(run.PAGE.read_text())

    def holds(self, page: str) -> None:
        rows = re.findall(r"^\| `(\w+)` \| [\d,]+ s \| [\d,]+ s \| ([\d,]+) .* ([\d,]+) \| ([\d,]+) \([\d.]+ %\) \|", page, re.M)
        self.assertEqual([name for name, *_ in rows], sorted(run.TARGETS))
        found = {}
        for name, *figures in rows:
            runs, edges, late = (int(figure.replace(",", "")) for figure in figures)
            found[name] = run.Found(seconds=2, runs=runs, reached=[(0, 0.0, edges - late), (runs, 2.0, edges)])
        self.assertIn(run.verdict(found), page)
        for name in run.TARGETS:
            self.assertIn(run.described(name), page)


if __name__ == "__main__":
    unittest.main()
