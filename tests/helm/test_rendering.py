"""What the chart renders: as written down, as Kubernetes takes it, and as Tagalong reads it."""

import base64
import difflib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import tempfile
import textwrap
import unittest
from pathlib import Path

from chart import (
    ALONE,
    BETWEEN,
    BINARY,
    CHART,
    HERE,
    HOST,
    IS_BLESSING,
    KUBERNETES,
    NEWEST,
    OLD,
    WORK,
    chart_of,
    command,
    container,
    environment,
    find,
    helm,
    mount_all,
    objects_of,
    pod_with_tagalong,
    rendered,
    template,
)

import yaml

# Not imported: it is here for its files.
PACKAGE = Path(importlib.util.find_spec("kubernetes_validate").origin).parent
SCHEMAS = PACKAGE / "schemas-for-kubeconform"
GOLDEN = [*((case, NEWEST) for case in ALONE + HOST), ("minimal", OLD), ("host", OLD)]


def steady(text: str) -> str:
    """Without what is another each time, and without the files that stand beside the chart anyway."""
    for name, depth in (("grafana/tagalong.json", 4), ("prometheus/alerts.yaml", 2), ("flow.sh", 10)):
        indent = " " * depth
        file = textwrap.indent((CHART / name).read_text(), indent, lambda line: True)  # `nindent` indents empty lines too
        text = text.replace(file, f"{indent}# all of {name}\n")
    return re.sub(r"^(  (?:token|valkey-password|redis-url): )\S+$", r"\1<made up>", text, flags=re.M)


def closed(schema: object) -> object:
    """A schema of a CustomResourceDefinition that knows no other fields."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: closed(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and "additionalProperties" not in schema and schema.get("type") == "object":
        made["additionalProperties"] = False
    if schema.get("x-kubernetes-int-or-string"):
        made.pop("type", None)
    return made


def write_kubernetes_schemas(kubernetes: str) -> None:
    """Those of the package, once, with references that are found beside the file."""
    folder = SCHEMAS / kubernetes
    if folder.exists():
        return
    new = folder.with_suffix(".new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    for file in (PACKAGE / "kubernetes-json-schema" / f"v{kubernetes}-local-strict").iterdir():
        schema = json.loads(file.read_text().replace('"/api/_definitions.json#', '"_definitions.json#'))
        schema.pop("$id", None)  # it is where references would be looked for
        (new / file.name).write_text(json.dumps(schema))
    new.rename(folder)


def write_monitoring_schemas(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for file in Path(os.environ["CRDS"]).glob("*.yaml"):
        definition = yaml.load(file.read_text(), Loader=yaml.CSafeLoader)["spec"]
        for version in definition["versions"]:
            schema = closed(version["schema"]["openAPIV3Schema"])
            schema["properties"]["metadata"] = {"type": "object"}
            (folder / f"{definition['names']['kind'].lower()}_{version['name']}.json").write_text(json.dumps(schema))


def installed(values: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """What `helm install` says, of the notes too, without a cluster."""
    return helm("install", "shop", CHART, "--namespace", "web", "--dry-run=client", "--hide-secret", "--values", values, *more)


class Rendering(unittest.TestCase):
    maxDiff = None

    def test_every_case_is_rendered_as_written_down(self):
        for case, kubernetes in GOLDEN:
            name = case if kubernetes == NEWEST else f"{case}-{kubernetes.rpartition('.')[0]}"
            with self.subTest(name):
                done = template(case, kubernetes)
                self.assertEqual(done.returncode, 0, done.stderr)
                text, file = steady(done.stdout), HERE / "golden" / f"{name}.yaml"
                if IS_BLESSING:
                    file.write_text(text)
                before = file.read_text() if file.exists() else ""
                difference = "".join(difflib.unified_diff(before.splitlines(True), text.splitlines(True), "golden", "rendered"))
                self.assertEqual(difference, "", f"{difference}\nBLESS=1 make helm writes it down")

    def test_no_golden_file_is_left_over(self):
        names = {case if kubernetes == NEWEST else f"{case}-{kubernetes.rpartition('.')[0]}" for case, kubernetes in GOLDEN}
        self.assertEqual({file.stem for file in (HERE / "golden").iterdir()}, names)
        self.assertEqual({file.stem for file in (HERE / "values").iterdir()}, {*ALONE, *HOST})

    def test_helm_lint_finds_nothing(self):
        for case in (*ALONE, "host"):
            with self.subTest(case):
                done = helm("lint", "--strict", chart_of(case), "--values", HERE / "values" / f"{case}.yaml")
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_kubernetes_takes_every_object_in_three_versions(self):
        monitoring = WORK / "monitoring-schemas"
        write_monitoring_schemas(monitoring)
        for kubernetes in KUBERNETES:
            with self.subTest(kubernetes), tempfile.TemporaryDirectory() as folder:
                for case in ALONE + HOST:
                    Path(folder, f"{case}.yaml").write_text(template(case, kubernetes).stdout)
                write_kubernetes_schemas(kubernetes)
                locations = [f"{SCHEMAS}/{kubernetes}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json"]
                locations += [f"{monitoring}/{{{{.ResourceKind}}}}_{{{{.ResourceAPIVersion}}}}.json"]
                arguments = [f"-schema-location={one}" for one in locations]
                run = ["kubeconform", "-strict", "-summary", "-output=json", f"-kubernetes-version={kubernetes}", *arguments, folder]
                done = subprocess.run(run, capture_output=True, text=True, timeout=60)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                summary = json.loads(done.stdout)["summary"]
                self.assertEqual((summary["invalid"], summary["errors"], summary["skipped"]), (0, 0, 0))
                self.assertGreater(summary["valid"], 50)

    def test_tagalong_takes_every_configuration_and_its_rules(self):
        for case in (*ALONE, "host", "host-everything"):
            with self.subTest(case), tempfile.TemporaryDirectory() as folder:
                objects = rendered(case)
                pod = pod_with_tagalong(objects)
                mount_all(Path(folder), objects, pod)
                serve = command(Path(folder), container(pod))
                self.assertEqual(serve[1], "serve")
                check = [serve[0], "check", "--strict", *serve[2:]]
                done = subprocess.run(check, capture_output=True, text=True, env=environment(objects, container(pod)), timeout=20)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


class WhatHolds(unittest.TestCase):
    """In every case, whatever else is rendered."""

    def test_no_secret_is_in_a_config_map_or_a_pod(self):
        for case in ALONE + HOST:
            with self.subTest(case):
                objects = rendered(case)
                secrets = [value for one in objects if one["kind"] == "Secret" for value in one["data"].values()]
                secrets += [base64.b64decode(value).decode() for value in secrets]
                plain = yaml.safe_dump([one for one in objects if one["kind"] != "Secret"], width=10_000)
                for value in secrets:
                    self.assertNotIn(value, plain)
                self.assertNotRegex(plain, r"redis://[^\s]*@")

    def test_every_container_of_the_chart_is_confined(self):
        for case in (*ALONE, "host", "host-everything"):
            objects = rendered(case)
            pods = [one["spec"]["template"]["spec"] for one in objects if one["kind"] == "Deployment"]
            pods += [one["spec"] for one in objects if one["kind"] == "Pod"]
            for pod in pods:
                for one in [*pod.get("initContainers", []), *pod["containers"]]:
                    if one["name"] == "shop":
                        continue  # the host's own
                    with self.subTest(f"{case}: {one['name']}"):
                        context = one["securityContext"]
                        self.assertTrue(context["runAsNonRoot"])
                        self.assertTrue(context["readOnlyRootFilesystem"])
                        self.assertFalse(context["allowPrivilegeEscalation"])
                        self.assertEqual(context["capabilities"], {"drop": ["ALL"]})
                        self.assertEqual(context["seccompProfile"], {"type": "RuntimeDefault"})
                        self.assertIn("memory", one["resources"]["limits"])
                if "shop" not in [one["name"] for one in pod["containers"]]:
                    self.assertFalse(pod["automountServiceAccountToken"])

    def test_as_a_dependency_it_brings_no_pods_of_its_own(self):
        objects = rendered("host-everything")
        self.assertEqual([one["metadata"]["name"] for one in objects if one["kind"] == "Deployment"], ["shop"])
        for kind in ("HorizontalPodAutoscaler", "PodDisruptionBudget", "ServiceAccount"):
            self.assertNotIn(kind, [one["kind"] for one in objects])
        for kind in ("ServiceMonitor", "PrometheusRule", "NetworkPolicy"):
            find(objects, kind)

    def test_a_sidecar_that_is_turned_off_leaves_the_app_alone(self):
        objects = rendered("host-without")
        self.assertEqual(sorted(one["kind"] for one in objects), ["Deployment", "Service"])
        self.assertEqual(find(objects, "Service")["spec"]["ports"][0]["targetPort"], "app")

    def test_clients_can_be_sent_past_a_sidecar_that_stays_in_the_pods(self):
        with_it, without = rendered("host"), rendered("host", values={"throughTagalong": False})
        self.assertEqual(pod_with_tagalong(without), pod_with_tagalong(with_it))
        self.assertEqual(find(without, "Service", "shop")["spec"]["ports"][0]["targetPort"], "app")

    def test_services_reach_the_sidecar_by_number_as_old_clusters_find_no_name(self):
        for case in (*ALONE, "host", "host-everything"):
            objects = rendered(case)
            selected = pod_with_tagalong(objects)["metadata"]["labels"].items()
            ports = {port["containerPort"] for port in container(pod_with_tagalong(objects))["ports"]}
            services = [one for one in objects if one["kind"] == "Service" and one["spec"]["selector"].items() <= selected]
            self.assertEqual({port["targetPort"] for one in services for port in one["spec"]["ports"]}, ports, case)

    def test_native_sidecars_are_used_where_the_cluster_has_them_or_as_told(self):
        table = [(OLD, "auto", False), ("1.29.0", "auto", True), (BETWEEN, "auto", True), (OLD, "always", True), (NEWEST, "never", False)]
        for kubernetes, told, is_native in table:
            with self.subTest(f"{kubernetes} {told}"):
                pod = pod_with_tagalong(rendered("host", kubernetes, {"tagalong": {"sidecar": {"native": told}}}))["spec"]
                self.assertEqual([one["name"] for one in pod.get("initContainers", [])], ["tagalong"] if is_native else [])
                self.assertEqual([one["name"] for one in pod["containers"]], ["shop"] if is_native else ["shop", "tagalong"])
                self.assertEqual(container({"spec": pod}).get("restartPolicy"), "Always" if is_native else None)

    def test_the_app_is_kept_up_while_requests_may_come(self):
        table = [
            # with drain: 20s. A native sidecar ends after the app; another drains while the app waits.
            (NEWEST, "auto", {"preStop": {"sleep": {"seconds": 5}}}),
            (NEWEST, "never", {"preStop": {"sleep": {"seconds": 25}}}),
            (OLD, "auto", {"preStop": {"exec": {"command": ["sleep", "25"]}}}),
        ]
        for kubernetes, native, expected in table:
            with self.subTest(f"{kubernetes} {native}"):
                pod = pod_with_tagalong(rendered("host-everything", kubernetes, {"tagalong": {"sidecar": {"native": native}}}))["spec"]
                self.assertEqual(pod["containers"][0]["lifecycle"], expected)
                self.assertEqual(pod["terminationGracePeriodSeconds"], 30 + 5 + 20 + 5)

    def test_pods_have_the_time_that_draining_takes(self):
        for drain, seconds in [("10s", 20), ("1m", 70), (3, 13), ("1500ms", 12), ("0.5h", 1810)]:
            with self.subTest(drain):
                pod = pod_with_tagalong(rendered("minimal", values={"config": {"drain": drain}}))["spec"]
                self.assertEqual(pod["terminationGracePeriodSeconds"], seconds)
                self.assertEqual(container({"spec": pod})["lifecycle"], {"preStop": {"sleep": {"seconds": 5}}})

    def test_memory_follows_what_may_be_stored(self):
        for most, memory in [("128MiB", "256Mi"), ("1GiB", "1600Mi"), (1048576, "66Mi"), ("512KiB", "66Mi"), (268435456, "448Mi")]:
            with self.subTest(most):
                resources = container(pod_with_tagalong(rendered("minimal", values={"config": {"store": {"memory": {"max_bytes": most}}}})))[
                    "resources"
                ]
                self.assertEqual((resources["requests"]["memory"], resources["limits"]["memory"]), (memory, memory))
        own = {"resources": {"limits": {"memory": "2Gi"}, "requests": {"memory": "1Gi"}}}
        resources = container(pod_with_tagalong(rendered("minimal", values=own)))["resources"]
        self.assertEqual((resources["requests"]["memory"], resources["limits"]["memory"]), ("1Gi", "2Gi"))

    def test_only_what_is_read_at_start_restarts_pods(self):
        def annotations(**values: object) -> dict[str, str]:
            return {
                key: value
                for key, value in pod_with_tagalong(rendered("minimal", values=values))["metadata"]["annotations"].items()
                if key.startswith("checksum/")
            }

        before = annotations()
        self.assertEqual(list(before), ["checksum/tagalong-config"])
        rule = {"a.yaml": {"rules": [{"id": "a", "match": {"path": "/a"}}]}}
        for name, values in {
            "rules": {"rules": rule},
            "epoch": {"config": {"epoch": 2}},
            "defaults": {"config": {"defaults": {"ttl": "1m"}}},
            "unmatched": {"config": {"unmatched": "bypass"}},
            "consistency": {"config": {"tags": {"consistency": "strict"}}},
        }.items():
            with self.subTest(name):
                self.assertEqual(annotations(**values), before)
        for name, values in {
            "drain": {"config": {"drain": "1s"}},
            "max_lag": {"config": {"tags": {"max_lag": "2s"}}},
            "upstream": {"upstream": {"url": "http://other:1"}},
            "ports": {"ports": {"http": 8081}},
        }.items():
            with self.subTest(name):
                self.assertNotEqual(annotations(**values), before)
        self.assertEqual(annotations(restart={"onConfig": False}), {})
        several = annotations(restart={"onRules": True})
        self.assertNotEqual(annotations(restart={"onRules": True}, rules=rule), several)

    def test_two_releases_share_no_tags_unless_told_to(self):
        spoken = set()
        for namespace, release in [("web", "shop"), ("web-shop", "x"), ("web", "shop-x")]:
            done = helm("template", release, CHART, "--namespace", namespace, "--set", "upstream.url=http://shop:1")
            config = find(objects_of(done.stdout), "ConfigMap", f"{release}-tagalong-config")
            spoken.add(yaml.safe_load(config["data"]["tagalong.yaml"])["namespace"])
        self.assertEqual(spoken, {"web.shop-tagalong", "web-shop.x-tagalong", "web.shop-x-tagalong"})

    def test_a_namespace_is_never_longer_than_tagalong_takes(self):
        spoken = set()
        for release in ("checkout-frontend", "checkout-frontage"):
            done = helm("template", release, CHART, "--namespace", "n" * 63, "--set", "upstream.url=http://shop:1")
            config = yaml.safe_load(find(objects_of(done.stdout), "ConfigMap", f"{release}-tagalong-config")["data"]["tagalong.yaml"])
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder, "tagalong.yaml")
                file.write_text(yaml.safe_dump({"namespace": config["namespace"], "upstream": {"url": "http://shop:1"}}))
                done = subprocess.run([BINARY, "check", "--config", file], capture_output=True, text=True, timeout=20)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            spoken.add(config["namespace"])
        self.assertEqual(len(spoken), 2)

    def test_rules_as_text_come_out_as_they_went_in_but_for_empty_lines_at_the_end(self):
        for text in ("    # indented more than the rest\nrules: []\n", "rules: []", "\n\nrules: []\n\n", "# ends: here\r\nrules: []\n", "\t\n: |\n"):
            with self.subTest(text):
                data = find(rendered("minimal", values={"rules": {"a.yaml": text}}), "ConfigMap", "shop-tagalong-rules")["data"]
                self.assertEqual({name: one.rstrip("\n") for name, one in data.items()}, {"a.yaml": text.rstrip("\n")})

    def test_pods_are_recreated_without_settings_of_rolling_updates(self):
        self.assertEqual(find(rendered("minimal", values={"strategy": {"type": "Recreate"}}), "Deployment")["spec"]["strategy"], {"type": "Recreate"})
        self.assertEqual(find(rendered("minimal"), "Deployment")["spec"]["strategy"]["rollingUpdate"], {"maxSurge": 1, "maxUnavailable": 0})

    def test_what_to_do_next_is_said_without_a_secret(self):
        table = [
            ("minimal", ["http://shop-tagalong.web:80, in front of http://shop:8000", "There are no rules yet", "There is no shared store"]),
            ("shared", ["secret shop-tagalong-admin", "helm test shop -n web"]),
            ("addresses", ["the addresses of config.upstream"]),
            ("valkey", ["The Valkey is for a trial"]),
        ]
        for case, expected in table:
            with self.subTest(case):
                values = HERE / "values" / f"{case}.yaml"
                done = installed(values)
                self.assertEqual(done.returncode, 0, done.stderr)
                notes = done.stdout.partition("NOTES:")[2]
                for sentence in expected:
                    self.assertIn(sentence, notes)
                self.assertEqual("no shared store" in notes, case == "minimal")
                self.assertNotRegex(notes, r"[A-Za-z0-9]{40}")

    def test_that_the_policy_shuts_prometheus_out_is_said(self):
        values = HERE / "values" / "everything.yaml"
        self.assertNotIn("Prometheus cannot reach", installed(values).stdout)
        self.assertIn("Prometheus cannot reach", installed(values, "--set-json", "networkPolicy.operators=[]").stdout)

    def test_long_names_stay_within_what_kubernetes_allows(self):
        done = helm("template", "a" * 53, CHART, "--set", "upstream.url=http://shop:1,valkey.enabled=true,dashboard.enabled=true")
        self.assertEqual(done.returncode, 0, done.stderr)
        for one in objects_of(done.stdout):
            self.assertLessEqual(len(one["metadata"]["name"]), 63, one["metadata"]["name"])
            for value in one["metadata"]["labels"].values():
                self.assertLessEqual(len(value), 63)

    def test_the_admin_port_is_on_no_service_for_clients(self):
        for case in ALONE + HOST:
            for one in rendered(case):
                if one["kind"] == "Service" and not one["metadata"]["name"].endswith("-admin"):
                    targets = [port["targetPort"] for port in one["spec"]["ports"]]
                    self.assertFalse({9000, 9080, "tagalong-admin"} & set(targets), case)
                elif one["kind"] == "Service":
                    self.assertEqual(one["spec"]["clusterIP"], "None")
