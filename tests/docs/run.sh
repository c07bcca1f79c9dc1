#!/usr/bin/env bash
# What the pages show: links, commands, transcripts, YAML, the reference, workflows. tests/docs/run.sh TAGALONG-BINARY [TEST …]
set -euo pipefail

TAGALONG_BINARY=$(realpath "$1")
export TAGALONG_BINARY
here=$(cd "$(dirname "$0")" && pwd)
python=$("$here/../../scripts/venv.sh" "$here/../../target/docs/venv" "$here/requirements.txt")
cd "$here"
"$python" -m unittest "${@:2}"
