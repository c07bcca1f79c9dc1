#!/usr/bin/env bash
# What docs/frameworks.md shows in Go, Python and Node.js, behind the sidecar. tests/frameworks/run.sh TAGALONG-BINARY
set -euo pipefail

TAGALONG_BINARY=$(realpath "$1")
export TAGALONG_BINARY
here=$(cd "$(dirname "$0")" && pwd)
python=$("$here/../../scripts/venv.sh" "$here/../../target/frameworks/venv" "$here/requirements.txt")

"$python" "$here/test_frameworks.py"
