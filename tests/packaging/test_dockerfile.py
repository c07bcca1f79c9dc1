"""The Dockerfile, and what goes into its build."""

import json
import os
import re
import shutil
import subprocess
import tempfile
import time
import tomllib
import unittest
from pathlib import Path

from docker.utils.build import exclude_paths
from support import REPOSITORY, run

DOCKERFILE = (REPOSITORY / "Dockerfile").read_text()
MANIFEST = tomllib.loads((REPOSITORY / "Cargo.toml").read_text())


def instruction(name):
    """What follows the only instruction of that name."""
    joined = DOCKERFILE.replace("\\\n", " ")
    found = re.findall(rf"^{name} +(.*)$", joined, re.M)
    assert len(found) == 1, f"{len(found)} times {name}"
    return found[0]


class Dockerfile(unittest.TestCase):
    def test_hadolint_has_nothing_to_say(self):
        run("hadolint", "--failure-threshold", "style", REPOSITORY / "Dockerfile")

    def test_hadolint_would_say_something(self):
        with tempfile.NamedTemporaryFile("w", prefix="Dockerfile") as file:
            file.write(DOCKERFILE.replace("# hadolint ignore", "# no longer ignored"))
            file.flush()
            self.assertNotEqual(subprocess.run(["hadolint", file.name], capture_output=True).returncode, 0)

    def test_its_versions_are_those_of_the_project(self):
        toolchain = tomllib.loads((REPOSITORY / "rust-toolchain.toml").read_text())["toolchain"]["channel"]
        self.assertIn(f"FROM rust:{toolchain}-slim-", DOCKERFILE)
        self.assertIn(f"ENV RUSTUP_TOOLCHAIN={toolchain}\n", DOCKERFILE)
        version = MANIFEST["package"]["version"]
        self.assertIn(f'org.opencontainers.image.version="{version}"', DOCKERFILE)

    def test_it_runs_as_a_number_that_is_not_root(self):
        self.assertRegex(instruction("USER"), r"^[1-9]\d*:[1-9]\d*$")

    def test_nothing_is_run_by_a_shell_since_there_is_none(self):
        for name in ["ENTRYPOINT", "CMD"]:
            self.assertIsInstance(json.loads(instruction(name)), list)
        self.assertIsInstance(json.loads(instruction("HEALTHCHECK").split(" CMD ")[1]), list)


class Stale(unittest.TestCase):
    """What is kept between builds, with a program as small as can be."""

    MANIFEST = '[package]\nname = "small"\nversion = "0.1.0"\nedition = "2024"\n'
    BUILD = "#!/bin/sh\nset -e\ncargo build --offline --quiet\ncp target/debug/small $1\n"

    def test_an_older_checkout_is_built_though_a_newer_one_was_built_before(self):
        """Its files are older than what that build has left, and cargo goes by the time."""
        [kept] = [text for text in re.findall(r"^RUN (.*)$", DOCKERFILE.replace("\\\n", " "), re.M) if "build.sh" in text]
        self.assertIn("--mount=type=cache,target=/src/target,sharing=locked ", kept)
        with tempfile.TemporaryDirectory() as folder:
            files = {"Cargo.toml": self.MANIFEST, "packaging/image/build.sh": self.BUILD, "src/main.rs": "fn main() { small::say() }\n"}
            for name, text in files.items():
                Path(folder, name).parent.mkdir(parents=True, exist_ok=True)
                Path(folder, name).write_text(text)
            Path(folder, "packaging/image/build.sh").chmod(0o755)
            program = Path(folder, "image")
            command = re.sub(r"--mount=\S+", "", kept).replace(" /image", f" {program}")
            environment = {name: value for name, value in os.environ.items() if name != "CARGO_TARGET_DIR"}
            for version, age in [("newer", 0), ("older", 3600)]:
                source = Path(folder, "src/lib.rs")
                source.write_text(f'pub fn say() {{ println!("{version}") }}\n')
                then = time.time() - age
                os.utime(source, (then, then))
                run("sh", "-c", command, cwd=folder, env=environment)
                self.assertEqual(run(program), f"{version}\n")


class Context(unittest.TestCase):
    """What .dockerignore lets through, by Docker's own reading of it."""

    #: What lies about in a working copy and must not leave it, nor make the build begin anew.
    PRIVATE = [
        ".cargo/credentials.toml",
        ".env",
        ".git/config",
        "id_ed25519",
        "benches/results/hits.md",
        "clients/django/.env",
        "examples/shop/secret.txt",
        "packaging/deb/key.pem",
        "tagalong.yaml",
        "target/release/tagalong",
        "tests/it/secret.pem",
    ]

    def setUp(self):
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        for file in run("git", "-C", REPOSITORY, "ls-files", "--cached", "--others", "--exclude-standard").splitlines():
            # Large, and not asked for: clients, pictures.
            if (REPOSITORY / file).is_file() and not file.startswith("clients/"):
                (self.folder / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(REPOSITORY / file, self.folder / file)
        for file in self.PRIVATE:
            (self.folder / file).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / file).write_text("private")
        patterns = [line for line in (REPOSITORY / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
        self.context = {file for file in exclude_paths(str(self.folder), patterns) if (self.folder / file).is_file()}

    def test_nothing_private_goes_into_it(self):
        self.assertEqual(self.context & set(self.PRIVATE), set())
        # The engine reads the first two itself.
        self.assertEqual(
            {Path(file).parts[0] for file in self.context} - {".dockerignore", "Dockerfile"},
            {".cargo", "Cargo.lock", "Cargo.toml", "LICENSE", "packaging", "src"},
        )

    def test_all_of_the_program_goes_into_it(self):
        for name in ["src", "packaging/image"]:
            files = {str(file.relative_to(self.folder)) for file in (self.folder / name).rglob("*") if file.is_file()}
            self.assertEqual(files - self.context, set())
        self.assertIn(".cargo/config.toml", self.context)  # the allocator's settings

    def test_cargo_finds_in_it_all_that_it_builds(self):
        with tempfile.TemporaryDirectory() as alone:
            for file in self.context:
                (Path(alone) / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(self.folder / file, Path(alone) / file)
            told = json.loads(run("cargo", "metadata", "--locked", "--no-deps", "--format-version", "1", cwd=alone))
            built = [target for target in told["packages"][0]["targets"] if target["kind"] in (["lib"], ["bin"])]
            self.assertEqual(len(built), 2)
            for target in built:
                self.assertTrue(Path(target["src_path"]).is_file(), target["src_path"])


if __name__ == "__main__":
    unittest.main()
