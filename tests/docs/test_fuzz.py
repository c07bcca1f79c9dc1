"""What is fuzzed when something has changed: every target is known by what it tries."""

import subprocess
import sys
import unittest

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


if __name__ == "__main__":
    unittest.main()
