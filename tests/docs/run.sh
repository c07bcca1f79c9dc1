#!/usr/bin/env bash
# What the pages show: links, commands, transcripts, YAML, the reference, workflows. tests/docs/run.sh TAGALONG-BINARY
set -euo pipefail

TAGALONG_BINARY=$(realpath "$1")
export TAGALONG_BINARY
here=$(cd "$(dirname "$0")" && pwd)
work=$here/../../target/docs
mkdir -p "$work"
work=$(cd "$work" && pwd)
python=$work/venv/bin/python

# The versions of requirements.txt and no others, fetched once.
if ! cmp -s "$here/requirements.txt" "$work/installed.txt"; then
    rm -rf "$work/venv"
    python3 -m venv "$work/venv"
    "$python" -m pip install --quiet --no-deps --requirement "$here/requirements.txt"
    cp "$here/requirements.txt" "$work/installed.txt"
fi

cd "$here"
"$python" -m unittest "${@:2}"
