"""The Debian package itself: its files, and that it can be installed, upgraded and removed. `make packages` runs it, and for a moment
there is the package on this machine: not one of the tests that find themselves.
"""

import os
import subprocess
import tomllib
import unittest
from pathlib import Path

from support import AS_ROOT, REPOSITORY, run

PACKAGE = Path(os.environ["TAGALONG_DEB"])
MANIFEST = tomllib.loads((REPOSITORY / "Cargo.toml").read_text())["package"]
CONFIG = Path("/etc/tagalong/tagalong.yaml")


def dpkg(*arguments):
    return run(*AS_ROOT, "env", "DEBIAN_FRONTEND=noninteractive", "dpkg", *arguments)


def status():
    """How dpkg sees it: `ii` installed, `rc` its configuration alone, nothing if it knows of none."""
    done = subprocess.run(["dpkg-query", "--show", "--showformat=${db:Status-Abbrev}", "tagalong"], capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else ""


class Content(unittest.TestCase):
    def test_its_files_are_roots_and_nobody_else_writes_them(self):
        for line in run("dpkg-deb", "--contents", PACKAGE).splitlines():
            self.assertRegex(line, r"^[-d]rw(xr-xr-x|-r--r--) (root/root|0/0) ")

    def test_it_has_what_the_manifest_says(self):
        files = {line.split()[-1].removeprefix("./") for line in run("dpkg-deb", "--contents", PACKAGE).splitlines()}
        for _, target, _ in MANIFEST["metadata"]["deb"]["assets"]:
            self.assertTrue([file for file in files if file.startswith(target)], target)
        self.assertLess({"usr/lib/systemd/system/tagalong.service", "usr/share/man/man1/tagalong.1.gz"}, files)
        self.assertIn("usr/share/doc/tagalong/changelog.Debian.gz", files)

    def test_it_says_what_it_needs(self):
        self.assertEqual(run("dpkg-deb", "--field", PACKAGE, "Version").strip(), f"{MANIFEST['version']}-1")
        needs = run("dpkg-deb", "--field", PACKAGE, "Depends")
        self.assertRegex(needs, r"libc6 \(>= ")
        self.assertIn("ca-certificates", needs)

    def test_lintian_finds_no_error(self):
        run("lintian", "--allow-root", "--fail-on", "error", "--suppress-tags", "bogus-mail-host", PACKAGE)


class Installed(unittest.TestCase):
    def setUp(self):
        self.assertEqual(status(), "", "there is a tagalong on this machine already, which is not the tests' to remove")
        self.addCleanup(lambda: status() and dpkg("--purge", "tagalong"))

    def test_it_comes_keeps_what_was_edited_and_goes(self):
        dpkg("--install", PACKAGE)
        self.assertEqual(status(), "ii")
        self.assertEqual(run("/usr/bin/tagalong", "--version"), f"tagalong {MANIFEST['version']}\n")
        run("/usr/bin/tagalong", "check", "--strict", "--config", CONFIG)
        self.assertEqual(run("systemctl", "list-unit-files", "tagalong.service", "--root=/").splitlines()[1].split()[1], "disabled")
        run("systemd-analyze", "verify", "/usr/lib/systemd/system/tagalong.service")

        edited = CONFIG.read_text() + "# ours\n"
        run(*AS_ROOT, "tee", CONFIG, input=edited)
        dpkg("--install", PACKAGE)
        self.assertEqual(CONFIG.read_text(), edited)

        dpkg("--remove", "tagalong")
        self.assertEqual((status(), CONFIG.exists(), Path("/usr/bin/tagalong").exists()), ("rc", True, False))
        dpkg("--purge", "tagalong")
        self.assertEqual((status(), CONFIG.parent.exists()), ("", False))


if __name__ == "__main__":
    unittest.main()
