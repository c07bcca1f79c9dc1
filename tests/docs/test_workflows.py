"""What the forge runs can be run: workflows and forms are YAML, name targets that are there, and use actions by their commits."""

import re
import unittest

import yaml

import pages

GITHUB = pages.ROOT / ".github"


def loaded(folder: str) -> dict[str, dict]:
    files = sorted((GITHUB / folder).rglob("*.yml"))
    return {file.relative_to(GITHUB).as_posix(): yaml.safe_load(file.read_text()) for file in files}


def steps(workflow: dict) -> list[dict]:
    of_jobs = [step for job in workflow.get("jobs", {}).values() for step in job["steps"]]
    return of_jobs + workflow.get("runs", {}).get("steps", [])


class Workflows(unittest.TestCase):
    def setUp(self) -> None:
        self.workflows = loaded("workflows")
        self.all = self.workflows | loaded("actions")

    def test_every_action_of_others_is_used_by_its_commit(self) -> None:
        used = [step["uses"] for workflow in self.all.values() for step in steps(workflow) if "uses" in step]
        self.assertTrue(used)
        for action in used:
            with self.subTest(action):
                if action.startswith("./"):
                    self.assertTrue((pages.ROOT / action / "action.yml").is_file())
                else:
                    self.assertRegex(action, r"^[\w-]+/[\w./-]+@[0-9a-f]{40}$")

    def test_every_target_of_make_is_there(self) -> None:
        targets = set(re.findall(r"^([a-z-]+):", (pages.ROOT / "Makefile").read_text(), re.M))
        targets |= {f"setup-{what}" for what in re.findall(r"{1-} == (\w+)", (pages.ROOT / "scripts" / "setup.sh").read_text())}
        scripts = [step["run"] for workflow in self.all.values() for step in steps(workflow) if "run" in step]
        scripts.append((pages.ROOT / ".ci" / "run").read_text())
        named = {word for script in scripts for line in re.findall(r"^\s*make ((?:--?\S+ )*[a-z -]+)", script, re.M) for word in line.split() if not word.startswith("-")}
        for workflow in self.workflows.values():
            for job in workflow["jobs"].values():
                named |= {one["target"] for one in job.get("strategy", {}).get("matrix", {}).get("what", [])}
        self.assertLessEqual({"run", "test", "conformance", "fuzz", "history"}, named)
        self.assertEqual(sorted(named - targets), [], "the Makefile does not have them")

    def test_green_needs_every_other_job(self) -> None:
        jobs = self.workflows["workflows/ci.yml"]["jobs"]
        self.assertEqual(sorted(jobs["green"]["needs"]), sorted(set(jobs) - {"green"}))
        self.assertEqual(jobs["green"]["if"], "always()")
        wanted = re.findall(r"success", jobs["green"]["steps"][0]["run"])
        self.assertEqual(len(wanted), len(jobs) - 1)

    def test_ci_runs_what_is_run_here(self) -> None:
        runs = [step.get("run") for step in self.workflows["workflows/ci.yml"]["jobs"]["test"]["steps"]]
        self.assertIn(".ci/run", runs)

    def test_no_workflow_may_write(self) -> None:
        for name, workflow in self.workflows.items():
            with self.subTest(name):
                self.assertEqual(workflow["permissions"], {"contents": "read"})

    def test_every_field_of_a_form_has_a_name_and_asks_something(self) -> None:
        for name, form in loaded("ISSUE_TEMPLATE").items():
            for field in form.get("body", []):
                with self.subTest(name):
                    if field["type"] != "markdown":
                        self.assertTrue(field["id"] and field["attributes"]["label"])


if __name__ == "__main__":
    unittest.main()
