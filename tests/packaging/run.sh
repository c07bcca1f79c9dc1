#!/usr/bin/env bash
# The image's files, the example for Docker Compose, the service, what goes into the Debian package, the licences:
# tests/packaging/run.sh TAGALONG-BINARY. With a static program it is the image itself that is tested (`make image-test`).
set -euo pipefail

TAGALONG_BINARY=$(realpath "$1")
export TAGALONG_BINARY PYTHONDONTWRITEBYTECODE=1
here=$(cd "$(dirname "$0")" && pwd)
work=$here/../../target/packaging
mkdir -p "$work"
work=$(cd "$work" && pwd)

# The versions of requirements.txt and no others, fetched once.
if ! cmp -s "$here/requirements.txt" "$work/installed.txt"; then
    rm -rf "$work/venv"
    python3 -m venv "$work/venv"
    "$work/venv/bin/python" -m pip install --quiet --no-deps --requirement "$here/requirements.txt"
    cp "$here/requirements.txt" "$work/installed.txt"
fi

PATH=$work/venv/bin:$PATH
cd "$here"
python -m unittest "${@:2}"
