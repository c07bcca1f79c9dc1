"""What the values may not be, and what is written of them."""

import re
import subprocess
import unittest

import values_schema
import values_table
from chart import BINARY, CHART, IS_BLESSING, OLD, helm, rendered, template

import yaml

REDIS = {"store": {"redis": {"existingSecret": "r"}}}

# What is wrong, and the sentence that says so.
REFUSED = {
    "a typo": ({"replica": 2}, r"additional properties 'replica' not allowed"),
    "a typo within": ({"service": {"prot": 80}}, r"at '/service': additional properties 'prot' not allowed"),
    "a typo in the configuration": ({"config": {"drian": "1s"}}, r"at '/config': additional properties 'drian' not allowed"),
    "a typo deep in it": (
        {"config": {"store": {"memory": {"max_byte": 1}}}},
        r"at '/config/store/memory': additional properties 'max_byte' not allowed",
    ),
    "a typo in a rule": (
        {"rules": {"a.yaml": {"rules": [{"id": "a", "match": {"path": "/"}, "tll": "1s"}]}}},
        r"at '/rules/a.yaml/rules/0': additional properties 'tll' not allowed",
    ),
    "a word for a list in a rule": (
        {"rules": {"a.yaml": {"rules": [{"id": "a", "tags": "a"}]}}},
        r"at '/rules/a.yaml/rules/0/tags': got string, want null or array",
    ),
    "a rule file of another kind": ({"rules": {"a.yml": "rules: []"}}, r"'a.yml' does not match pattern"),
    "a rule file that is not read": ({"rules": {".a.yaml": "rules: []"}}, r"'.a.yaml' does not match pattern"),
    "a number for a word": ({"env": [{"name": "A", "value": 4}]}, r"at '/env/0/value': got number, want string"),
    "a part taken away": ({"config": None}, r"missing property 'config'"),
    "a word for a number": ({"replicas": "two"}, r"at '/replicas': got string, want integer"),
    "a port that is none": ({"ports": {"http": 70000}}, r"at '/ports/http': maximum: got 70,000, want 65,535"),
    "a mode that is none": ({"mode": "both"}, r"at '/mode': value must be one of 'auto', 'standalone', 'sidecar'"),
    "a URL that is none": ({"upstream": {"url": "shop:8000"}}, r"at '/upstream/url': 'shop:8000' does not match pattern"),
    "an unknown consistency": (
        {"config": {"tags": {"consistency": "eventual"}}},
        r"at '/config/tags/consistency': value must be one of 'bounded', 'strict'",
    ),
    "a password in a value": ({"store": {"redis": {"url": "redis://:secret@redis"}}}, r"at '/store/redis/url': '.*' does not match pattern"),
    "a tag in the repository": ({"image": {"repository": "a/b:1"}}, r"at '/image/repository': 'a/b:1' does not match pattern"),
    "a name that is taken": (
        {"admin": {"tokens": [{"name": "admin", "existingSecret": "a", "key": "b"}]}},
        r"at '/admin/tokens/0/name': 'not' failed",
    ),
    "no upstream": ({"upstream": {"url": ""}}, r"upstream\.url is missing: say where the app is"),
    "two upstreams": ({"config": {"upstream": {"url": "http://a:1"}}}, r"upstream\.url and config\.upstream both say where the app is"),
    "what the chart writes": ({"config": {"listen": ["0.0.0.0:1"]}}, r"config\.listen is written by the chart: use bindAddress and ports\.http\."),
    "what it writes for operators": ({"config": {"admin": {}}}, r"config\.admin is written by the chart"),
    "where the rules are": ({"config": {"rules": "x"}}, r"config\.rules is written by the chart: use rules\."),
    "a store in the configuration": ({"config": {"store": {"redis": {"url": "redis://a"}}}}, r"config\.store\.redis says where the shared store is"),
    "settings of no store": ({"config": {"store": {"redis": {"timeout": "1s"}}}}, r"config\.store\.redis is of no use without a shared store"),
    "two stores": (REDIS | {"valkey": {"enabled": True}}, r"each say where the shared store is"),
    "two places of rules": ({"rules": {"a.yaml": "rules: []"}, "existingRulesConfigMap": "a"}, r"both say what the rules are"),
    "one port for two": ({"ports": {"http": 9080}}, r"ports\.http and ports\.admin are both 9080"),
    "replicas that share nothing": ({"replicas": 2}, r"Several replicas without a shared store would serve old pages"),
    "autoscaling that shares nothing": ({"autoscaling": {"enabled": True}}, r"Several replicas without a shared store would serve old pages"),
}


class Values(unittest.TestCase):
    maxDiff = None

    def test_what_is_wrong_is_refused_with_a_sentence(self):
        for name, (values, sentence) in REFUSED.items():
            with self.subTest(name):
                done = template("minimal", values=values)
                self.assertNotEqual(done.returncode, 0)
                self.assertRegex(done.stderr, sentence)
                self.assertLess(len(done.stderr.strip().splitlines()), 6, done.stderr)

    def test_a_release_whose_name_no_service_may_have_is_refused(self):
        for release in ("shop.v2", "1shop"):
            done = helm("template", release, CHART, "--set", "upstream.url=http://shop:1")
            self.assertRegex(done.stderr, rf"No Service may be called {release}-tagalong: set fullnameOverride")
            done = helm("template", release, CHART, "--set", "upstream.url=http://shop:1,fullnameOverride=shop")
            self.assertEqual(done.returncode, 0, done.stderr)

    def test_a_host_chart_is_told_the_same(self):
        done = template("host", values={"tagalong": {"upstream": {"url": ""}}})
        self.assertRegex(done.stderr, r"upstream\.url is missing: say where the app is")
        done = template("host", values={"tagalong": {"replica": 2}})
        self.assertRegex(done.stderr, r"additional properties 'replica' not allowed")

    def test_what_a_host_chart_adds_by_itself_is_no_typo(self):
        rendered("host", values={"global": {"region": "north"}})

    def test_replicas_that_share_nothing_can_be_allowed(self):
        rendered("minimal", values={"replicas": 2, "allowUnshared": True})

    def test_the_schema_is_that_of_the_binary(self):
        file = CHART / "values.schema.json"
        expected = values_schema.current(file.read_text(), BINARY)
        if IS_BLESSING:
            file.write_text(expected)
        self.assertEqual(file.read_text(), expected, "BLESS=1 make helm writes it down")

    def test_the_schema_knows_every_value(self):
        values = yaml.safe_load((CHART / "values.yaml").read_text())
        schema = yaml.safe_load((CHART / "values.schema.json").read_text())
        self.assertEqual(set(schema["properties"]) - set(values), {"global", "enabled"})

    def test_the_table_of_values_is_that_of_the_file(self):
        readme, text = CHART / "README.md", (CHART / "values.yaml").read_text()
        expected = values_table.current(readme.read_text(), text)
        if IS_BLESSING:
            readme.write_text(expected)
        self.assertEqual(readme.read_text(), expected, "BLESS=1 make helm writes it down")

    def test_the_chart_is_of_this_version_of_tagalong(self):
        chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
        said = subprocess.check_output([BINARY, "--version"], text=True)
        self.assertEqual(said.strip(), f"tagalong {chart['appVersion']}")
        self.assertEqual(chart["kubeVersion"], f">={OLD}-0")

    def test_every_value_is_explained(self):
        text = (CHART / "values.yaml").read_text()
        explained = [row.path for row in values_table.rows(text)]
        for path in values_table.paths(yaml.safe_load(text)):
            self.assertTrue(any(path[: len(row)] == row for row in explained), f"{'.'.join(path)} has no comment")
        for row in values_table.rows(text):
            self.assertFalse(re.search(r"\bTODO\b", row.says))
