"""What ships with the program about what it is made of: licences, and the bill of materials."""

import json
import re
import tomllib
import unittest

from support import REPOSITORY, run

LICENCES = REPOSITORY / "packaging" / "THIRD-PARTY-LICENSES.txt"
MATERIALS = REPOSITORY / "packaging" / "tagalong.cdx.json"
AGAIN = "`make licences sbom` writes it anew"


def crates():
    """Name and version of all that is in the program, on the machines it runs on; not ourselves."""
    about = tomllib.loads((REPOSITORY / "about.toml").read_text())
    targets = [f"--target={target}" for target in about["targets"]]
    lines = run("cargo", "tree", "--locked", "--edges=normal", "--prefix=none", "--format={p}", *targets, cwd=REPOSITORY)
    found = {(line.split()[0], line.split()[1].removeprefix("v")) for line in lines.splitlines() if line}
    return {crate for crate in found if crate[0] != "tagalong"}


class Licences(unittest.TestCase):
    def test_they_name_every_crate_of_the_program_and_no_other(self):
        named = set(re.findall(r"^  (\S+) (\d\S*)(?:  http\S*)?$", LICENCES.read_text(), re.M))
        self.assertEqual({crate for crate in named if crate[0] != "tagalong"}, crates(), AGAIN)

    def test_they_name_what_is_inside_of_crates_too(self):
        for whose in ["Jean-loup Gailly", "Meta Platforms"]:  # zlib-ng and zstd
            self.assertIn(whose, LICENCES.read_text())

    def test_what_is_accepted_is_what_the_check_of_dependencies_allows(self):
        about = tomllib.loads((REPOSITORY / "about.toml").read_text())
        deny = tomllib.loads((REPOSITORY / "deny.toml").read_text())
        self.assertEqual(sorted(about["accepted"]), sorted(deny["licenses"]["allow"]))
        self.assertEqual(about["targets"], deny["graph"]["targets"])


class Materials(unittest.TestCase):
    def test_they_name_every_crate_of_the_program(self):
        told = json.loads(MATERIALS.read_text())
        self.assertEqual(told["bomFormat"], "CycloneDX")
        named = {(part["name"], part["version"]) for part in told["components"]}
        self.assertEqual(crates() - named, set(), AGAIN)

    def test_each_has_its_licence_and_its_place_in_the_registry(self):
        for part in json.loads(MATERIALS.read_text())["components"]:
            with self.subTest(part["name"]):
                self.assertTrue(part["licenses"])
                self.assertTrue(part["purl"].startswith(f"pkg:cargo/{part['name']}@{part['version']}"))

    def test_they_are_those_of_this_version(self):
        package = tomllib.loads((REPOSITORY / "Cargo.toml").read_text())["package"]
        subject = json.loads(MATERIALS.read_text())["metadata"]["component"]
        self.assertEqual((subject["name"], subject["version"]), ("tagalong", package["version"]))


if __name__ == "__main__":
    unittest.main()
