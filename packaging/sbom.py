#!/usr/bin/env python3
"""Leaves in a bill of materials (CycloneDX, JSON) what is in the program: packaging/sbom.py < ALL > PROGRAM

cargo-cyclonedx names the optional dependencies of dependencies too, whether they are built or not; a scanner would warn of holes in
programs that we are not.
"""

import json
import pathlib
import subprocess
import sys
import tomllib

REPOSITORY = pathlib.Path(__file__).resolve().parents[1]


def crates():
    """Name and version of all that is in the program, on the machines it runs on; not ourselves."""
    targets = tomllib.loads((REPOSITORY / "about.toml").read_text())["targets"]
    command = ["cargo", "tree", "--locked", "--edges=normal", "--prefix=none", "--format={p}", *(f"--target={target}" for target in targets)]
    lines = subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True).stdout.splitlines()
    found = {(line.split()[0], line.split()[1].removeprefix("v")) for line in lines if line}
    return {crate for crate in found if crate[0] != "tagalong"}


def main():
    materials = json.load(sys.stdin)
    wanted = crates()
    materials["components"] = [part for part in materials["components"] if (part["name"], part["version"]) in wanted]
    kept = {part["bom-ref"] for part in materials["components"]} | {materials["metadata"]["component"]["bom-ref"]}
    materials["dependencies"] = [line for line in materials["dependencies"] if line["ref"] in kept]
    for line in materials["dependencies"]:
        if "dependsOn" in line:
            line["dependsOn"] = [ref for ref in line["dependsOn"] if ref in kept]
    json.dump(materials, sys.stdout, indent=2, ensure_ascii=False)
    print()


if __name__ == "__main__":
    main()
