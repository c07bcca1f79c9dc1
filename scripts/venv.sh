#!/usr/bin/env bash
# Makes a virtual environment with exactly the packages that are named, unless it is there; prints its python.
# scripts/venv.sh FOLDER PACKAGES …, each a file of requirements or a version such as Django==5.2.19
set -euo pipefail

mkdir -p "$1"
venv=$(cd "$1" && pwd)
shift
wanted=$(python3 --version) # an environment is of one Python
packages=()
for package in "$@"; do
    if [[ $package == *==* ]]; then
        packages+=("$package")
        wanted+=$'\n'$package
    else
        packages+=("--requirement=$package")
        wanted+=$'\n'$(cat "$package")
    fi
done
if [[ ! -e $venv/installed.txt || $(<"$venv/installed.txt") != "$wanted" ]]; then
    rm -rf "$venv"
    python3 -m venv "$venv" >&2
    "$venv/bin/python" -m pip install --quiet --no-deps "${packages[@]}" >&2
    printf '%s\n' "$wanted" >"$venv/installed.txt"
fi
echo "$venv/bin/python"
