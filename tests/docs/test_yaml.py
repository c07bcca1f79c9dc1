"""Every rule file and every configuration on the pages is right, by the command that they tell people to use."""

import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import harness
import pages

# What else is written in YAML, by the file that the first line names (`# values.yaml`), or by its page; and who looks at it.
FILES = {
    "values.yaml": "tests/helm",
    "Chart.yaml": "tests/helm",
    "compose.yaml": "tests/packaging",
    "deployment.yaml": "tests/helm",
    "prometheus.yml": "nobody: it is Prometheus's own",
}
PAGES = {
    "helm/README.md": "tests/helm",
    "docs/kubernetes.md": "tests/helm",
}
# What the pages say that the environment holds.
SECRETS = {
    "CDN_TOKEN": "Bearer shown",
    "OTLP_TOKEN": "Bearer shown",
    "REDIS_URL": "redis://127.0.0.1:6379",
    "TAGALONG_ADMIN_TOKEN": "shown",
    "TAGALONG_DEPLOY_TOKEN": "shown-too",
}


def is_rules(block: pages.Block) -> bool:
    """A rule file: `rules` is a list. In a configuration it is the name of a folder, in values of the chart files by name."""
    text = "".join(f"{line}\n" for line in block.lines if line.strip() and not line.lstrip().startswith("#"))
    return re.match(r"rules:( *#.*)?\n *- |rules: *\[", text) is not None


def of_others(block: pages.Block) -> bool:
    named = re.match(r"# ([\w./-]+\.ya?ml)\b", block.lines[0])
    file = Path(named[1]).name if named else ""
    ours = is_rules(block) or file == "tagalong.yaml"
    return file in FILES or block.page in PAGES and not ours


def mistakes(block: pages.Block, beside: str | None) -> str:
    """What `tagalong check` says of a block, rules with the configuration that the page shows beside them; nothing if it is right."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        (folder / "rules").mkdir()
        # The keys that rules with tokens name.
        shutil.copy(pages.ROOT / "rules" / "jwks.json", folder / "rules")
        configuration = None if is_rules(block) else block.text
        if is_rules(block):
            (folder / "rules" / "shown.yaml").write_text(block.text)
            configuration = beside
        arguments = ["--rules", "rules"]
        if configuration is not None:
            (folder / "tagalong.yaml").write_text(configuration)
            arguments = ["--config", "tagalong.yaml"]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TAGALONG_")} | SECRETS
        done = subprocess.run([harness.BINARY, "check", *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=60)
        return f"{block}:\n{done.stdout}{done.stderr}" if done.returncode else ""


class Yaml(unittest.TestCase):
    def test_every_rule_file_and_configuration_shown_is_right(self) -> None:
        jobs = []
        for page in pages.pages():
            blocks = [block for block in pages.blocks(page) if block.language in ("yaml", "yml")]
            blocks = [block for block in blocks if not of_others(block)]
            # Rules may use what the configuration of the same page says.
            beside = next((block.text for block in blocks if "\ntemplates:" in block.text), None)
            jobs += [(block, beside) for block in blocks]
        with ThreadPoolExecutor(os.cpu_count()) as workers:
            wrong = [said for said in workers.map(lambda job: mistakes(*job), jobs) if said]
        if wrong:
            self.fail("\n" + "\n".join(wrong))
        self.assertGreater(len(jobs), 15, "the pages show hardly any YAML any more")

    def test_what_is_wrong_is_told(self) -> None:
        for text in ("rules:\n  - { id: a, tll: 1h }\n", "namespace: shop\nstoer: {}\n", "services:\n  app: { image: app }\n"):
            block = pages.Block("wrong.md", 1, "yaml", tuple(text.splitlines()))
            self.assertIn("wrong.md:1:", mistakes(block, None))


class Json(unittest.TestCase):
    def test_every_line_of_json_shown_can_be_read(self) -> None:
        for page in pages.pages():
            for block in pages.blocks(page):
                if block.language == "json":
                    with self.subTest(str(block)):
                        json.loads(block.text)


if __name__ == "__main__":
    unittest.main()
