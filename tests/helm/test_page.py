"""The examples of docs/kubernetes.md, as they stand there."""

import re
import shutil
import textwrap
import unittest

from chart import BETWEEN, CHART, HERE, OLD, WORK, container, find, helm, objects_of, pod_with_tagalong, rendered

import yaml

PAGE = CHART.parent / "docs" / "kubernetes.md"
BLOCKS = re.findall(r"^```yaml\n(.*?)^```$", PAGE.read_text(), re.M | re.S)

DEPLOYMENT = """apiVersion: apps/v1
kind: Deployment
metadata: { name: shop }
spec:
  selector: { matchLabels: { app: shop } }
"""

SERVICE = """apiVersion: v1
kind: Service
metadata: { name: shop }
spec:
  selector: { app: shop }
"""


def block_with(word: str) -> str:
    found = [block for block in BLOCKS if word in block]
    assert len(found) == 1, f"{len(found)} blocks have {word}"
    return found[0]


class Page(unittest.TestCase):
    def test_its_host_chart_renders_pods_with_a_sidecar(self):
        folder = WORK / "host-of-page"
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "templates").mkdir(parents=True)
        dependencies = yaml.safe_load(block_with("dependencies:"))
        dependencies["dependencies"][0]["repository"] = "file://../../../helm"
        (folder / "Chart.yaml").write_text(yaml.safe_dump({"apiVersion": "v2", "name": "shop", "version": "1.0.0", **dependencies}))
        (folder / "values.yaml").write_text(block_with("\n  enabled: true\n"))
        (folder / "templates" / "deployment.yaml").write_text(DEPLOYMENT + block_with("tagalong.sidecar.volumes"))
        (folder / "templates" / "service.yaml").write_text(SERVICE + block_with("tagalong.sidecar.targetPort"))
        done = helm("dependency", "update", folder)
        self.assertEqual(done.returncode, 0, done.stderr)
        for kubernetes in (OLD, BETWEEN):
            done = helm("template", "shop", folder, "--kube-version", kubernetes)
            self.assertEqual(done.returncode, 0, done.stderr)
            objects = objects_of(done.stdout)
            pod = pod_with_tagalong(objects)
            self.assertEqual(find(objects, "Service", "shop")["spec"]["ports"][0]["targetPort"], 8080)
            self.assertEqual(container(pod)["image"], "registry.example/tagalong:0.1.0")
            self.assertEqual(pod["metadata"]["labels"], {"app": "shop", "tagalong": "shop-tagalong"})

    def test_its_values_are_taken(self):
        values = [block for block in BLOCKS if "include" not in block and "dependencies:" not in block]
        self.assertGreater(len(values), 3)
        for block in values:
            with self.subTest(block):
                parsed = yaml.safe_load(textwrap.dedent(block))
                rendered("host" if "tagalong" in parsed else "minimal", values=parsed)

    def test_it_names_every_template_for_host_charts(self):
        head = (CHART / "templates" / "_sidecar.tpl").read_text().partition("*/")[0]
        named = set(re.findall(r"tagalong\.sidecar\.\w+", head))
        host = "".join(file.read_text() for file in (HERE / "host" / "templates").iterdir())
        for text in (PAGE.read_text(), host):
            self.assertEqual(named - set(re.findall(r"tagalong\.sidecar\.\w+", text)), set())
