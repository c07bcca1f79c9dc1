#!/usr/bin/env bash
# Checks and tests the Django package: format, lints, types, and all tests with the newest Django and with the oldest one that it is
# for; those in tests/sidecar run the sidecar that is given. clients/django/tests/run.sh TAGALONG-BINARY [ARGUMENTS OF PYTEST]
set -euo pipefail

TAGALONG_BINARY=$(realpath "$1")
export TAGALONG_BINARY
shift
here=$(cd "$(dirname "$0")/.." && pwd)
work=$here/../../target/django
mkdir -p "$work"
work=$(cd "$work" && pwd)
cd "$here"

newest=5.2.19
oldest=4.2.30
for version in "$newest" "$oldest"; do
    ../../scripts/venv.sh "$work/$version" "Django==$version" requirements-test.txt >/dev/null
done

export PYTHONDONTWRITEBYTECODE=1
"$work/$newest/bin/ruff" check --cache-dir "$work/ruff" .
"$work/$newest/bin/ruff" format --check --cache-dir "$work/ruff" .
"$work/$newest/bin/mypy" --cache-dir "$work/mypy"

# Both at once: they wait for servers most of the time, and share nothing.
test_with() { # test_with <version of Django> <arguments of pytest>
    "$work/$1/bin/python" -m pytest -q "${@:2}" >"$work/$1.log" 2>&1
}
test_with "$oldest" "$@" &
oldest_is=$!
failed=0
test_with "$newest" "$@" || failed=1
wait "$oldest_is" || failed=1
for version in "$newest" "$oldest"; do
    echo "== Django $version"
    cat "$work/$version.log"
done
exit "$failed"
