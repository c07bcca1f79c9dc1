"""examples/compose: what Docker Compose makes of it, and the processes it would start."""

import json
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from support import BINARY, REPOSITORY, Process, ask, run, until

FOLDER = REPOSITORY / "examples" / "compose"
SIDECARS = ["sidecar-1", "sidecar-2"]


def compose(file=FOLDER / "compose.yaml"):
    """The services, with all that Compose itself has filled in."""
    return json.loads(run("docker-compose", "--file", file, "config", "--format", "json"))["services"]


class File(unittest.TestCase):
    def test_compose_reads_it(self):
        self.assertEqual(set(compose()), {"app", "valkey", *SIDECARS})

    def test_compose_would_refuse_a_field_that_is_none(self):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml", dir=FOLDER) as file:
            file.write((FOLDER / "compose.yaml").read_text().replace("read_only:", "readonly:"))
            file.flush()
            self.assertNotEqual(subprocess.run(["docker-compose", "--file", file.name, "config"], capture_output=True).returncode, 0)

    def test_nothing_in_it_has_rights_or_writes_and_only_this_machine_reaches_it(self):
        for name, service in compose().items():
            with self.subTest(name):
                self.assertTrue(service["read_only"])
                self.assertEqual(service["cap_drop"], ["ALL"])
                self.assertEqual(service["security_opt"], ["no-new-privileges:true"])
                self.assertEqual({port["host_ip"] for port in service.get("ports", [])} - {"127.0.0.1"}, set())
                self.assertTrue(all(volume["read_only"] for volume in service.get("volumes", [])))

    def test_its_sidecars_are_of_the_dockerfile_and_what_they_are_given_is_there(self):
        for name in SIDECARS:
            service = compose()[name]
            self.assertEqual(Path(service["build"]["context"]), REPOSITORY)
            self.assertEqual([port["target"] for port in service["ports"]], [8080])
            self.assertTrue(all(Path(volume["source"]).is_file() for volume in service["volumes"]))


class Running(unittest.TestCase):
    """The same commands, with addresses of this machine in place of the names of services."""

    def start(self, name, *program, replace, environment=None):
        service = compose()[name]
        # The first word is a program of that image's own; ours is the image's entry point.
        arguments = service["command"] if name in SIDECARS else service["command"][1:]
        for volume in service.get("volumes", []):
            replace = {volume["target"]: self.copied(volume["source"], replace), **replace}
        variables = {key: self.replaced(value, replace) for key, value in (service.get("environment") or {}).items()}
        arguments = [self.replaced(argument, replace) for argument in arguments]
        return self.enterContext(Process(*program, *arguments, environment=variables))

    def replaced(self, text, replace):
        for was, becomes in replace.items():
            text = text.replace(was, becomes)
        return text

    def copied(self, file, replace):
        """A mounted file, as a copy that names what `replace` says."""
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        shutil.copy(file, folder)
        copy = folder / Path(file).name
        copy.write_text(self.replaced(copy.read_text(), replace))
        return str(copy)

    def test_what_one_sidecar_is_told_the_other_forgets(self):
        store = self.free_port()
        server = self.start("valkey", "redis-server", "--port", store, "--dir", tempfile.gettempdir(), replace={})
        server.says("eady to accept connections")
        app = self.start("app", sys.executable, replace={"0.0.0.0:8000": "127.0.0.1:0"})
        app = app.says(r"listening on (\S+)")
        places = {
            "0.0.0.0:8080": "127.0.0.1:0",
            "admin: {}": 'admin: { listen: "127.0.0.1:0" }',
            "http://app:8000": f"http://{app}",
            "redis://valkey:6379": f"redis://127.0.0.1:{store}",
        }
        one, other = [self.start(name, BINARY, replace=places) for name in SIDECARS]
        admin = other.says(r"admin interface on (\S+)")
        one, other = [sidecar.says(r"listening on (\S+:\d+)") for sidecar in (one, other)]

        def page(sidecar):
            answer = ask(sidecar, "/products/1")
            return answer.cache, int(re.search(r"(\d+) in stock", answer.body)[1])

        # Before it has heard of the store a sidecar stores nothing.
        until("a hit", lambda: "; hit" in page(one)[0])
        self.assertEqual(page(one)[1], 100)
        until("a hit of the other's", lambda: "; hit" in page(other)[0])
        self.assertEqual(ask(other, "/products/1/order", "POST").body, "ordered\n")
        self.assertEqual(page(other)[1], 99)
        until("the new number", lambda: page(one)[1] == 99)
        self.assertIn("ok", run(BINARY, "health", "--admin", admin))

    def free_port(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            return str(taken.getsockname()[1])


if __name__ == "__main__":
    unittest.main()
