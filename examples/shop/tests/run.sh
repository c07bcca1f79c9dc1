#!/usr/bin/env bash
# Checks and tests the shop: format, lints, rules, migrations, all tests; and a short load on it behind the sidecar that is given,
# in which no page may be too old. examples/shop/tests/run.sh TAGALONG-BINARY [ARGUMENTS OF PYTEST]
set -euo pipefail

TAGALONG_BINARY=$(realpath "$1")
export TAGALONG_BINARY
shift
cd "$(dirname "$0")/.."

python=$(../../scripts/venv.sh ../../target/shop/test requirements.txt requirements-test.txt)
# Not those of another project, which the caller may have.
export DJANGO_SETTINGS_MODULE=shop.settings PYTHONDONTWRITEBYTECODE=1
SHOP_DATA=$(mktemp -d)
export SHOP_DATA
trap 'rm -rf "$SHOP_DATA"' EXIT

"$python" -m ruff check --no-cache .
"$python" -m ruff format --check --no-cache .
"$TAGALONG_BINARY" check --strict --config tagalong.yaml >/dev/null
"$python" manage.py check --fail-level WARNING
"$python" manage.py makemigrations --check --dry-run
"$python" -m pytest -q "$@"
