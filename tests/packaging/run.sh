#!/usr/bin/env bash
# The image's files, the example for Docker Compose, the service, what goes into the Debian package, the licences:
# tests/packaging/run.sh TAGALONG-BINARY. With a static program it is the image itself that is tested (`make image-test`).
set -euo pipefail

TAGALONG_BINARY=$(realpath "$1")
export TAGALONG_BINARY PYTHONDONTWRITEBYTECODE=1
here=$(cd "$(dirname "$0")" && pwd)
python=$("$here/../../scripts/venv.sh" "$here/../../target/packaging/venv" "$here/requirements.txt")
PATH=$(dirname "$python"):$PATH
cd "$here"
python -m unittest "${@:2}"
