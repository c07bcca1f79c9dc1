"""The files of the image, and the program among them with nothing else there and no rights."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from support import AS_ROOT, BINARY, REPOSITORY, Process, ask, run, until
from test_dockerfile import DOCKERFILE, instruction

HERE = Path(__file__).parent
USER = instruction("USER")
#: A name server's own address, so that it is in nobody's way.
NAMES = "127.0.53.53"


def layout(folder):
    run(REPOSITORY / "packaging/image/layout.sh", BINARY, folder)


def is_static():
    return "INTERP" not in run("readelf", "--program-headers", BINARY)


class Layout(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.root = Path(cls.enterClassContext(tempfile.TemporaryDirectory())) / "image"
        layout(cls.root)

    def test_it_holds_these_files_and_no_others(self):
        self.assertEqual(sorted(str(file.relative_to(self.root)) for file in self.root.rglob("*") if not file.is_dir()), [
            "etc/group",
            "etc/passwd",
            "etc/ssl/certs/ca-certificates.crt",
            "etc/tagalong/tagalong.yaml",
            "usr/bin/tagalong",
            "usr/share/common-licenses/LGPL-2.1",
            "usr/share/common-licenses/MPL-2.0",
            "usr/share/doc/ca-certificates/copyright",
            "usr/share/doc/libc6-dev/copyright",
            "usr/share/doc/tagalong/LICENSE",
            "usr/share/doc/tagalong/THIRD-PARTY-LICENSES.txt",
            "usr/share/doc/tagalong/tagalong.cdx.json",
        ])
        self.assertTrue((self.root / "etc/tagalong/rules").is_dir())

    def test_nobody_but_root_may_write_any_of_it_and_everybody_may_read_it(self):
        for file in self.root.rglob("*"):
            mode = file.stat().st_mode
            self.assertEqual(mode & 0o6022, 0, file)
            self.assertEqual(mode & 0o044, 0o044, file)

    def test_its_user_is_the_one_that_the_image_runs_as(self):
        name, _, user, group, *_ = (self.root / "etc/passwd").read_text().split(":")
        self.assertEqual((f"{user}:{group}", name), (USER, "tagalong"))

    def test_the_port_that_is_exposed_is_the_one_that_its_configuration_listens_on(self):
        config = (self.root / "etc/tagalong/tagalong.yaml").read_text()
        self.assertIn(f'listen: ["0.0.0.0:{instruction("EXPOSE")}"]', config)

    def test_there_are_authorities(self):
        self.assertGreater((self.root / "etc/ssl/certs/ca-certificates.crt").read_text().count("BEGIN CERTIFICATE"), 100)


class Running(unittest.TestCase):
    """As an engine runs it: the image's files alone, its user, the arguments of the Dockerfile."""

    @classmethod
    def setUpClass(cls):
        cls.image = Path(cls.enterClassContext(tempfile.TemporaryDirectory())) / "image"
        layout(cls.image)

    def setUp(self):
        # Not the test's own folder: the user of the image must be able to enter it.
        above = Path(self.enterContext(tempfile.TemporaryDirectory()))
        above.chmod(0o755)
        self.root = above / "image"
        shutil.copytree(self.image, self.root)
        # What every engine puts there.
        (self.root / "etc/hosts").write_text("127.0.0.1 localhost app.example\n")
        (self.root / "etc/resolv.conf").write_text(f"nameserver {NAMES}\n")
        (self.root / "dev").mkdir()
        run(*AS_ROOT, "mknod", "--mode=666", self.root / "dev/null", "c", "1", "3")
        if not is_static():
            self.add_libraries()
        # Ports of its own, for tests beside others.
        config = self.root / "etc/tagalong/tagalong.yaml"
        text = config.read_text()
        for was, becomes in [("0.0.0.0:8080", "127.0.0.1:0"), ("admin: {}", 'admin: { listen: "127.0.0.1:0" }')]:
            self.assertEqual(len(re.findall(f"(?m)^[^#]*{re.escape(was)}", text)), 1)
            text = text.replace(was, becomes)
        config.write_text(text)

    def add_libraries(self):
        """What a program built for tests needs, and that of the image does not."""
        for path in re.findall(r"(/\S+) \(0x", run("ldd", BINARY)):
            (self.root / path[1:]).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, self.root / path[1:])

    def command(self, *arguments):
        return [*AS_ROOT, "env", "--ignore-environment", "/usr/sbin/chroot", f"--userspec={USER}", "--groups=", self.root, "/usr/bin/tagalong", *arguments]

    def start(self, upstream):
        arguments = json.loads(instruction("CMD"))
        sidecar = self.enterContext(Process(*self.command(*arguments, "--upstream", upstream)))
        self.address = sidecar.says(r"listening on (\S+:\d+)")
        self.admin = sidecar.says(r"admin interface on (\S+)")
        return sidecar

    def origin(self, *certificate):
        app = self.enterContext(Process(sys.executable, HERE / "origin.py", *certificate))
        return app, app.says(r"port (\d+)")

    def health(self):
        command = self.command("health", "--admin", self.admin)
        return subprocess.run(list(map(str, command)), capture_output=True, timeout=60).returncode

    def is_shut(self):
        host, port = self.address.split(":")
        with socket.socket() as client:
            return client.connect_ex((host, int(port))) != 0

    def test_a_miss_a_hit_and_the_health_check_and_what_runs_is_finished_when_it_is_stopped(self):
        app, port = self.origin()
        sidecar = self.start(f"http://app.example:{port}")
        self.assertIn("stored", ask(self.address, "/page").cache)
        self.assertIn("hit", ask(self.address, "/page").cache)
        self.assertIn('"health"', instruction("HEALTHCHECK"))
        self.assertEqual(self.health(), 0)

        with tempfile.TemporaryFile("w+") as body:
            client = subprocess.Popen(["curl", "-sSf", f"http://{self.address}/slow"], stdout=body)
            app.says("slow has begun")
            sidecar.signal(signal.SIGTERM)
            until("no more clients are let in", self.is_shut)
            ask(f"127.0.0.1:{port}", "/release")
            self.assertEqual(client.wait(20), 0)
            self.assertEqual(sidecar.process.wait(20), 0)
            body.seek(0)
            self.assertEqual(body.read(), "done\n")
        self.assertEqual(self.health(), 1)

    def test_names_come_from_dns_as_well(self):
        names = self.enterContext(Process(*AS_ROOT, sys.executable, HERE / "names.py", NAMES, "shop.internal", "127.0.0.1"))
        names.says("listening")
        _, port = self.origin()
        self.start(f"http://shop.internal:{port}")
        self.assertEqual(ask(self.address, "/page").status, 200)
        self.start(f"http://other.internal:{port}")
        self.assertEqual(ask(self.address, "/page").status, 502)

    def test_an_app_behind_tls_is_trusted_where_the_authorities_of_the_image_vouch_for_it(self):
        with tempfile.TemporaryDirectory() as folder:
            certificate, key = f"{folder}/certificate.pem", f"{folder}/key.pem"
            run(
                "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc", "-days", "1",
                "-subj", "/CN=app.example", "-addext", "subjectAltName=DNS:app.example",
                "-addext", "basicConstraints=critical,CA:FALSE", "-keyout", key, "-out", certificate,
            )  # fmt: skip
            _, port = self.origin(certificate, key)
            self.start(f"https://app.example:{port}")
            self.assertEqual(ask(self.address, "/page").status, 502)
            with open(self.root / "etc/ssl/certs/ca-certificates.crt", "a") as authorities:
                authorities.write(Path(certificate).read_text())
            self.start(f"https://app.example:{port}")
            self.assertEqual(ask(self.address, "/page").status, 200)

    def test_it_is_nobody_in_particular(self):
        sidecar = self.start("http://127.0.0.1:9")
        status = Path(f"/proc/{sidecar.pid()}/status").read_text()
        user, group = USER.split(":")
        self.assertRegex(status, rf"Uid:(\s+{user}){{4}}\n")
        self.assertRegex(status, rf"Gid:(\s+{group}){{4}}\n")
        self.assertRegex(status, r"CapEff:\s+0+\n")


class Build(unittest.TestCase):
    def test_a_program_that_wants_shared_libraries_is_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            cargo, program = Path(folder, "cargo"), Path(folder, "dist/tagalong")
            program.parent.mkdir()
            # A cargo that does not heed what it is told: a program of this machine.
            cargo.write_text(f"#!/bin/sh\ncp {shutil.which('readelf')} {program}\n")
            cargo.chmod(0o755)
            environment = os.environ | {"PATH": f"{folder}:{os.environ['PATH']}", "CARGO_TARGET_DIR": folder}
            command = [REPOSITORY / "packaging/image/build.sh", f"{folder}/image"]
            done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)
            self.assertEqual(done.returncode, 1)
            self.assertIn("wants shared libraries", done.stderr)
            self.assertFalse(Path(folder, "image").exists())

    def test_the_dockerfile_copies_what_the_script_has_laid_out(self):
        folder = re.search(r"packaging/image/build\.sh (\S+)", DOCKERFILE)[1]
        self.assertIn(f"COPY --from=build {folder}/ /\n", DOCKERFILE)
        self.assertIn('packaging/image/layout.sh "$program" "$folder"', (REPOSITORY / "packaging/image/build.sh").read_text())


if __name__ == "__main__":
    unittest.main()
