#!/usr/bin/env bash
# Checks the chart in helm/ with the tools that people deploy with, and runs what it renders. tests/helm/run.sh TAGALONG-BINARY
# BLESS=1 writes down what is rendered (golden/), the table of values in helm/README.md and what helm/values.schema.json takes from the
# binary.
set -euo pipefail

TAGALONG_BINARY=$(realpath "$1")
export TAGALONG_BINARY
here=$(cd "$(dirname "$0")" && pwd)
work=$("$here/tools.sh")
export CRDS=$work/crds
python=$("$here/../../scripts/venv.sh" "$work/venv" "$here/requirements.txt")

cd "$here"
PATH=$work/bin:$PATH PYTHONDONTWRITEBYTECODE=1 "$python" -m unittest --quiet
