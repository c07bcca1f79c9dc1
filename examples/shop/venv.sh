#!/usr/bin/env bash
# Makes a virtual environment under target/shop with exactly what the files say, unless it is there; prints its python.
# examples/shop/venv.sh NAME REQUIREMENTS …
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$here/../../target/shop"
venv=$(cd "$here/../../target/shop" && pwd)/$1
shift
wanted=$(cat "$@")
if [[ ! -e $venv/installed.txt || $(<"$venv/installed.txt") != "$wanted" ]]; then
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --no-deps "${@/#/--requirement=}" >&2
    printf '%s\n' "$wanted" >"$venv/installed.txt"
fi
echo "$venv/bin/python"
