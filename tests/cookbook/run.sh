#!/usr/bin/env bash
# The recipes of docs/cookbook, and the transcripts of the pages beside it, behind the sidecar. tests/cookbook/run.sh TAGALONG-BINARY
set -euo pipefail

TAGALONG_BINARY=$(realpath "$1")
export TAGALONG_BINARY
python3 "$(cd "$(dirname "$0")" && pwd)/test_cookbook.py"
