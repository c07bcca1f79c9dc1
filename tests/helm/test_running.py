"""What the chart renders does what it should, with the real binary: no cluster, but the files, arguments and environment of its pods."""

import base64
import http.server
import json
import os
import shutil
import subprocess
import tempfile
import threading
import unittest
from contextlib import ExitStack
from pathlib import Path

from chart import CHART, WORK, environment, find, objects_of, rendered
from running import App, Pod, app, ask, free_port, until

import yaml

RULE = {"rules": [{"id": "all", "match": {"path": "/.*"}, "tags": ["all"]}]}


class Running(unittest.TestCase):
    def setUp(self):
        self.stack = ExitStack()
        self.addCleanup(self.stack.close)
        self.app = self.stack.enter_context(app())

    def values(self, **more: object) -> dict[str, object]:
        """Everything on this machine, on ports of its own."""
        return {"bindAddress": "127.0.0.1", "ports": {"http": free_port(), "admin": free_port()}, "upstream": {"url": self.app}, **more}

    def pod(self, objects: list[dict[str, object]], **replace: str) -> Pod:
        pod = Pod(objects, replace)
        self.stack.callback(lambda: self.assertEqual(pod.stop(), 0))
        return pod

    def flow(self, objects: list[dict[str, object]], pod: Pod, **instead: str) -> subprocess.CompletedProcess[str]:
        """What `helm test` runs, with addresses in place of the names of Services."""
        test = find(objects, "Pod")["spec"]["containers"][0]
        given = environment(objects, test)
        self.assertEqual(given["TOKEN"], pod.token)
        self.assertTrue(given["ADMIN"].endswith(f"-admin.web:{pod.admin}"), given["ADMIN"])
        given |= {"ADMIN": f"http://127.0.0.1:{pod.admin}", "PATH": os.environ["PATH"], **instead}
        return subprocess.run([*test["command"], *test["args"]], capture_output=True, text=True, env=given, timeout=60)

    def test_alone_it_misses_hits_and_forgets_and_helm_test_sees_it(self):
        objects = rendered("minimal", values=self.values())
        pod = self.pod(objects)
        for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
            self.assertEqual(pod.probe(kind), 200)

        self.assertRegex(ask(pod.clients, "/products/1").cache_status, "fwd=uri-miss; stored")
        self.assertRegex(ask(pod.clients, "/products/1").cache_status, "tagalong; hit")
        ask(pod.clients, "/orders", "POST")
        self.assertRegex(ask(pod.clients, "/products/1").cache_status, "fwd=stale; stored; detail=invalidated")

        done = self.flow(objects, pod, PAGE=f"http://127.0.0.1:{pod.clients}/products/1")
        self.assertEqual(done.returncode, 0, done.stderr)
        said = [line.rpartition(": ")[0] for line in done.stdout.splitlines()]
        self.assertEqual(said[1:], ["a miss", "stored", "a hit", "an increment", "a miss again", ""])
        self.assertRegex(done.stdout, r"cache-status: tagalong; hit")

        self.assertEqual(ask(pod.admin, "/v1/stats").status, 401)
        self.assertEqual(ask(pod.admin, "/v1/stats", token=pod.token).status, 200)

    def test_helm_test_fails_where_something_is_wrong(self):
        objects = rendered("minimal", values=self.values())
        pod = self.pod(objects)
        page = f"http://127.0.0.1:{pod.clients}/products/1"
        for name, instead, said in [
            ("a wrong token", {"PAGE": page, "TOKEN": "wrong"}, "FAILED: a miss: expected 404, got 401"),
            ("a page past Tagalong", {"PAGE": f"{self.app}/products/1"}, "it did not come through Tagalong"),
        ]:
            with self.subTest(name):
                done = self.flow(objects, pod, **instead)
                self.assertEqual(done.returncode, 1, done.stdout)
                self.assertIn(said, done.stderr)
                self.assertNotIn(pod.token, done.stdout + done.stderr)

    def test_rules_and_the_epoch_are_in_force_without_a_restart(self):
        values = self.values()
        objects = rendered("minimal", values=values)
        pod = self.pod(objects)
        ask(pod.clients, "/products/1")
        self.assertRegex(ask(pod.clients, "/products/1").cache_status, "hit")

        pod.updated(rendered("minimal", values=values | {"config": {"epoch": 2}}), "shop-tagalong-config")
        until(lambda: True if "stored" in ask(pod.clients, "/products/1").cache_status else None)

        pod.updated(rendered("minimal", values=values | {"rules": {"all.yaml": RULE}}), "shop-tagalong-rules")
        until(lambda: True if '"all"' in ask(pod.admin, "/v1/rules", token=pod.token).body else None)

    def test_prometheus_reads_the_metrics_with_the_token_of_the_secret(self):
        objects = rendered("minimal", values=self.values(serviceMonitor={"enabled": True}))
        pod = self.pod(objects)
        endpoint = find(objects, "ServiceMonitor")["spec"]["endpoints"][0]
        service = find(objects, "Service", "shop-tagalong-admin")
        selected = find(objects, "ServiceMonitor")["spec"]["selector"]["matchLabels"]
        self.assertLessEqual(selected.items(), service["metadata"]["labels"].items())
        port = next(port for port in service["spec"]["ports"] if port["name"] == endpoint["port"])
        credentials = endpoint["authorization"]["credentials"]
        token = base64.b64decode(find(objects, "Secret", credentials["name"])["data"][credentials["key"]]).decode()
        answer = ask(port["targetPort"], endpoint["path"], token=token)
        self.assertEqual(answer.status, 200)
        self.assertIn("tagalong_requests_total", answer.body)

    def test_beside_an_app_it_does_the_same(self):
        objects = rendered("host", values={"tagalong": self.values(store={"redis": {"existingSecret": ""}})})
        pod = self.pod(objects)
        service = find(objects, "Service", "shop")["spec"]
        labels = pod.pod["metadata"]["labels"]
        self.assertLessEqual(service["selector"].items(), labels.items())
        self.assertLessEqual(find(objects, "Service", "shop-tagalong-admin")["spec"]["selector"].items(), labels.items())
        clients = service["ports"][0]["targetPort"]
        self.assertRegex(ask(clients, "/products/1").cache_status, "fwd=uri-miss; stored")
        self.assertRegex(ask(clients, "/products/1").cache_status, "hit")
        done = self.flow(objects, pod)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_two_replicas_share_the_valkey_of_a_trial(self):
        first = rendered("valkey", values=self.values())
        server = find([one for one in first if one["metadata"]["name"].endswith("-valkey")], "Deployment")
        port = self.redis(first, server["spec"]["template"]["spec"]["containers"][0])
        there = {"shop-tagalong-valkey:6379": f"127.0.0.1:{port}"}
        second = [one for one in rendered("valkey", values=self.values()) if one["kind"] != "Secret"]
        second += [one for one in first if one["kind"] == "Secret"]  # as the cluster has it: one for both
        pods = [self.pod(objects, **there) for objects in (first, second)]

        self.assertRegex(ask(pods[0].clients, "/products/1").cache_status, "stored")
        until(lambda: True if "hit" in ask(pods[1].clients, "/products/1").cache_status else None)
        ask(pods[0].clients, "/orders", "POST")
        made = App.made
        until(lambda: True if ask(pods[1].clients, "/products/1").body == f"page {made + 1}" else None)
        done = self.flow(second, pods[1], PAGE=f"http://127.0.0.1:{pods[1].clients}/")
        self.assertEqual(done.returncode, 0, done.stderr)

    def redis(self, objects: list[dict[str, object]], container: dict[str, object]) -> int:
        """The port of a Redis that is started as the chart starts Valkey: with its arguments and its password."""
        port, given = free_port(), environment(objects, container)
        expanded = [one.replace("$(VALKEY_PASSWORD)", given["VALKEY_PASSWORD"]) for one in container["args"]]
        self.assertEqual(expanded[0], "valkey-server")
        program = shutil.which("valkey-server") or "redis-server"
        folder = self.stack.enter_context(tempfile.TemporaryDirectory())
        log = self.stack.enter_context((Path(folder) / "log").open("w"))
        here = ["--port", str(port), "--bind", "127.0.0.1", "--dir", folder]
        process = subprocess.Popen([program, *expanded[1:], *here], stdout=log, stderr=log)
        self.stack.callback(process.wait)
        self.stack.callback(process.terminate)
        return port


class Kept(unittest.TestCase):
    """What is made up once, with a little of a cluster: enough for `lookup`."""

    def test_an_upgrade_keeps_the_token_and_the_password(self):
        made = {"token": "a-token", "valkey-password": "a-password", "redis-url": "old"}
        ours = {"labels": {"app.kubernetes.io/managed-by": "Helm"}}
        ours["annotations"] = {"meta.helm.sh/release-name": "shop", "meta.helm.sh/release-namespace": "web"}
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "shop-tagalong", "namespace": "web", **ours}}
        secret["data"] = {name: base64.b64encode(value.encode()).decode() for name, value in made.items()}
        answers = {
            "/version": {"major": "1", "minor": "37", "gitVersion": "v1.37.0"},
            "/api": {"kind": "APIVersions", "versions": ["v1"]},
            "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": [group("apps", "apps/v1")]},
            "/api/v1": resources("v1", ["Secret", "ConfigMap", "Service", "ServiceAccount", "Pod"]),
            "/apis/apps/v1": resources("apps/v1", ["Deployment"]),
            "/api/v1/namespaces/web/secrets/shop-tagalong": secret,
        }
        with cluster(answers) as settings:
            done = subprocess.run(
                [
                    "helm",
                    "template",
                    "shop",
                    CHART,
                    "--namespace",
                    "web",
                    "--dry-run=server",
                    "--disable-openapi-validation",
                    "--set",
                    "upstream.url=http://a:1,valkey.enabled=true",
                ],
                capture_output=True,
                text=True,
                timeout=60,
                env={"PATH": os.environ["PATH"], "HOME": str(WORK / "home"), "KUBECONFIG": settings},
            )
        self.assertEqual(done.returncode, 0, done.stderr)
        data = find(objects_of(done.stdout), "Secret")["data"]
        found = {name: base64.b64decode(value).decode() for name, value in data.items()}
        self.assertEqual(found, made | {"redis-url": "redis://:a-password@shop-tagalong-valkey:6379"})

    def test_what_is_made_up_is_long_and_another_each_time(self):
        tokens = {base64.b64decode(find(rendered("minimal", values={"replicas": n}), "Secret")["data"]["token"]) for n in (0, 1)}
        self.assertEqual([len(token) for token in tokens], [40, 40])


def group(name: str, version: str) -> dict[str, object]:
    versions = [{"groupVersion": version, "version": version.rpartition("/")[2]}]
    return {"name": name, "versions": versions, "preferredVersion": versions[0]}


def resources(version: str, kinds: list[str]) -> dict[str, object]:
    of = [{"name": f"{kind.lower()}s", "kind": kind, "namespaced": True, "verbs": ["get", "list", "create"]} for kind in kinds]
    return {"kind": "APIResourceList", "groupVersion": version, "resources": of}


class cluster:
    """An API server that knows these paths, and the file that says where it is."""

    def __init__(self, answers: dict[str, object]):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                answer = answers.get(self.path.partition("?")[0])
                body = json.dumps(answer or {"kind": "Status", "status": "Failure", "code": 404, "reason": "NotFound"}).encode()
                self.send_response(200 if answer else 404)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def __enter__(self) -> str:
        self.serving = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        self.serving.start()
        self.folder = tempfile.TemporaryDirectory()
        file = Path(self.folder.name) / "config"
        place = f"http://127.0.0.1:{self.server.server_port}"
        settings = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "one", "cluster": {"server": place}}],
            "contexts": [{"name": "one", "context": {"cluster": "one", "user": "one"}}],
            "users": [{"name": "one", "user": {}}],
            "current-context": "one",
        }
        file.write_text(yaml.safe_dump(settings))
        return str(file)

    def __exit__(self, *_):
        self.server.shutdown()
        self.serving.join()
        self.server.server_close()
        self.folder.cleanup()
