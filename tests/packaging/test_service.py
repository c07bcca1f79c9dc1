"""The systemd unit, as far as that can be seen without systemd."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from support import BINARY, REPOSITORY, Process, ask, run

HERE = Path(__file__).parent
UNIT = REPOSITORY / "packaging" / "systemd" / "tagalong.service"
#: Of 10 (least is best), times 10: above this `systemd-analyze security` fails. docs/install.md names what it is.
EXPOSURE = 15


def setting(name):
    """Its values, in the order of their lines."""
    return re.findall(rf"^{name}=(.*)$", UNIT.read_text(), re.M)


class Unit(unittest.TestCase):
    def setUp(self):
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))

    def copy(self, text):
        copy = self.folder / UNIT.name
        copy.write_text(text.replace("/usr/bin/tagalong", str(BINARY)))
        return copy

    def verify(self, text):
        command = ["systemd-analyze", "verify", "--man=no", self.copy(text)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    def test_systemd_understands_every_line_of_it(self):
        done = self.verify(UNIT.read_text())
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_systemd_would_say_if_it_did_not(self):
        self.assertIn("Unknown", self.verify(UNIT.read_text().replace("NoNewPrivileges", "NoNewPrivilege")).stderr)

    def test_it_leaves_little_to_an_attacker(self):
        run("systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE}", self.copy(UNIT.read_text()))
        open_to_all = self.copy(UNIT.read_text().replace("SystemCallFilter", "# SystemCallFilter"))
        command = ["systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE}", open_to_all]
        self.assertNotEqual(subprocess.run(command, capture_output=True).returncode, 0)

    def test_it_waits_longer_than_the_sidecar_drains(self):
        drain = re.search(r"^drain: (\d+)s", (REPOSITORY / "tagalong.yaml").read_text(), re.M)[1]
        self.assertGreater(int(setting("TimeoutStopSec")[0]), int(drain))


class Running(unittest.TestCase):
    """What ExecStart says, with the files of the package, by hand."""

    def setUp(self):
        above = Path(self.enterContext(tempfile.TemporaryDirectory()))
        above.chmod(0o755)
        self.folder = above / "etc"
        shutil.copytree(REPOSITORY / "packaging/deb/etc", self.folder)
        config = self.folder / "tagalong.yaml"
        text = config.read_text()
        for was, becomes in [("127.0.0.1:8080", "127.0.0.1:0"), ("admin: {}", 'admin: { listen: "127.0.0.1:0" }')]:
            self.assertIn(was, text)
            text = text.replace(was, becomes)
        self.program = shutil.copy(BINARY, above)
        self.app = self.enterContext(Process(sys.executable, HERE / "origin.py"))
        config.write_text(text.replace("127.0.0.1:8000", f"127.0.0.1:{self.app.says(r'port (.+)')}"))

    def command(self):
        program, *arguments = setting("ExecStart")[0].split()
        self.assertEqual(program, "/usr/bin/tagalong")
        folder = str(self.folder)
        return [self.program, *(argument.replace("/etc/tagalong", folder) for argument in arguments)]

    def nobody(self):
        """Without any right; not root anyway if the tests are not."""
        if os.geteuid() != 0:
            return ["setpriv", "--no-new-privs"]
        return ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all", "--no-new-privs"]

    def test_it_serves_reloads_and_stops_without_any_right(self):
        sidecar = self.enterContext(Process(*self.nobody(), *self.command()))
        address = sidecar.says(r"listening on (\S+:\d+)")
        self.assertIn("stored", ask(address, "/page").cache)
        self.assertIn("hit", ask(address, "/page").cache)
        (self.folder / "rules/10-app.yaml").write_text("rules: [{ id: page, match: { path: '/page' }, ttl: soon }]\n")
        self.assertEqual(setting("ExecReload"), ["/bin/kill -HUP $MAINPID"])
        sidecar.signal(1)
        sidecar.says("10-app.yaml:1")
        self.assertEqual(ask(address, "/page").status, 200)
        self.assertEqual(sidecar.stop(), 0)

    def test_wrong_files_end_it_with_the_code_that_is_not_tried_again(self):
        (self.folder / "tagalong.yaml").write_text("listen: nowhere\n")
        done = subprocess.run(self.command(), capture_output=True, timeout=60)
        self.assertEqual([str(done.returncode)], setting("RestartPreventExitStatus"))

    def test_the_filter_of_system_calls_lets_through_all_that_it_needs(self):
        traced = Path(self.enterContext(tempfile.TemporaryDirectory())) / "calls"
        sidecar = self.enterContext(Process("strace", "--follow-forks", "--quiet=all", f"--output={traced}", *self.command()))
        address = sidecar.says(r"listening on (\S+:\d+)")
        admin = sidecar.says(r"admin interface on (\S+)")
        self.assertIn("stored", ask(address, "/page").cache)
        self.assertIn("hit", ask(address, "/page").cache)
        run(BINARY, "entries", "--admin", admin)
        program = re.match(r"(\d+) ", traced.read_text())[1]
        run("kill", program)
        self.assertEqual(sidecar.process.wait(60), 0)

        used = set(re.findall(r"^\d+ +(\w+)\(", traced.read_text(), re.M))
        self.assertLess({"accept4", "connect", "execve"}, used)
        allowed, forbidden, again = setting("SystemCallFilter")
        self.assertEqual(forbidden[0], "~")
        kept = calls([allowed]) - calls(forbidden[1:].split()) | calls(again.split())
        self.assertEqual(used - kept - calls(["@default"]), set())


def calls(names):
    """The system calls of groups of systemd's, `@name`, and of names."""
    found = set()
    for name in names:
        if not name.startswith("@"):
            found.add(name)
            continue
        lines = run("systemd-analyze", "syscall-filter", name).splitlines()[1:]
        found |= calls(line.strip() for line in lines if line.strip() and line.strip()[0] != "#")
    return found


if __name__ == "__main__":
    unittest.main()
