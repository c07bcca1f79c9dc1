"""What the comparison needs beside Python: Debian packages and our own reference server."""

import glob
import json
import os
import shutil
import subprocess
import sys


def install(packages):
    """Install the Debian packages (by the program or file each brings) that are missing, or say in one line which."""
    missing = [package for brought, package in packages.items() if not (find(brought) or glob.glob(brought))]
    if not missing:
        return
    root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    may = shutil.which("apt-get") and (not root or succeeds([*root, "true"]))
    commands = [["apt-get", "update"], ["apt-get", "install", "-y", "--no-install-recommends", *missing]]
    if not may or not all(succeeds([*root, *command]) for command in commands):
        sys.exit(f"missing: apt-get install {' '.join(missing)}")


def find(program):
    """The path of a program; Debian puts servers where not everybody's PATH looks."""
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def succeeds(command):
    """Whether the command can be run and ends well; its output goes to stderr."""
    try:
        return subprocess.run(command, stdout=sys.stderr).returncode == 0
    except FileNotFoundError:
        return False


def build(manifest):
    """Build a package with one binary; its path."""
    command = ["cargo", "build", "--release", "--locked", "--message-format=json", "--manifest-path", manifest]
    lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    return next(path for path in (json.loads(line).get("executable") for line in lines) if path)
