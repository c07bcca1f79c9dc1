"""What goes into the Debian package. `make packages` builds it, and tests/packaging/test_deb.py looks into it."""

import re
import tomllib
import unittest

from support import BINARY, REPOSITORY, run

PACKAGE = tomllib.loads((REPOSITORY / "Cargo.toml").read_text())["package"]["metadata"]["deb"]


class Program(unittest.TestCase):
    def test_the_allocator_has_its_settings(self):
        settings = tomllib.loads((REPOSITORY / ".cargo/config.toml").read_text())["env"]["JEMALLOC_SYS_WITH_MALLOC_CONF"]
        self.assertIn(settings.encode(), BINARY.read_bytes())


class Assets(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        run(REPOSITORY / "packaging/deb/stage.sh", BINARY)

    def test_all_of_them_are_there(self):
        for source, target, mode in PACKAGE["assets"]:
            with self.subTest(target):
                self.assertTrue([file for file in REPOSITORY.glob(source) if file.is_file()], source)
                self.assertIn(mode, ["644", "755"] if target.startswith("usr/bin") else ["644"])

    def test_what_an_upgrade_must_not_overwrite_is_all_that_is_in_etc(self):
        targets = {f"/{target}" for _, target, _ in PACKAGE["assets"] if target.startswith("etc/")}
        self.assertEqual(targets, set(PACKAGE["conf-files"]))

    def test_the_configuration_and_the_examples_are_right(self):
        run(BINARY, "check", "--strict", "--config", REPOSITORY / "packaging/deb/etc/tagalong.yaml")
        run(BINARY, "check", "--config", REPOSITORY / "tagalong.yaml")

    def test_there_is_a_page_for_every_command_and_shells_can_read_their_completions(self):
        staged = REPOSITORY / "target/packaging/deb"
        # One a line, two spaces before it.
        listed = run(BINARY, "--help").partition("\nCommands:\n")[2].partition("\n\n")[0]
        commands = set(re.findall(r"^  (\w+)", listed, re.M))
        pages = {page.name for page in (staged / "man").iterdir()}
        self.assertLessEqual({f"tagalong-{command}.1" for command in commands - {"help"}} | {"tagalong.1"}, pages)
        self.assertGreater(len(commands), 15)
        run("bash", "-n", staged / "completions/bash")

    def test_its_change_log_is_one_that_debian_reads(self):
        told = run("dpkg-parsechangelog", "--file", REPOSITORY / "target/packaging/deb/changelog")
        version = tomllib.loads((REPOSITORY / "Cargo.toml").read_text())["package"]["version"]
        self.assertIn(f"Version: {version}-1\n", told)


if __name__ == "__main__":
    unittest.main()
