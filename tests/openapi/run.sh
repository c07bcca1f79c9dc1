#!/usr/bin/env bash
# Holds /openapi.json to the standard, and the sidecar to /openapi.json: a validator reads the one, and Schemathesis calls all that
# it describes with right and wrong input. tests/openapi/run.sh TAGALONG-BINARY
set -euo pipefail

binary=$1
here=$(cd "$(dirname "$0")" && pwd)
work=$here/../../target/openapi
mkdir -p "$work"
work=$(cd "$work" && pwd)
python=$("$here/../../scripts/venv.sh" "$work/venv" "$here/requirements.txt")

cat >"$work/tagalong.yaml" <<'YAML'
listen: ["127.0.0.1:0"]
admin: { listen: "127.0.0.1:0", token_env: TAGALONG_ADMIN_TOKEN }
upstream: { url: "http://127.0.0.1:9" }
purge_groups: { books: { tags: [Books] } }
rules: rules
YAML
mkdir -p "$work/rules"
cat >"$work/rules/rules.yaml" <<'YAML'
rules:
  - { id: books, match: { path: "/books/.*" }, ttl: 60s, tags: [Books], dimensions: { attrs: { shelf: "{query.shelf}" } } }
YAML

TAGALONG_ADMIN_TOKEN=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
export TAGALONG_ADMIN_TOKEN
: >"$work/sidecar.log" # what an earlier one has said is not this one's address
"$binary" serve --config "$work/tagalong.yaml" >"$work/sidecar.log" 2>&1 &
sidecar=$!
trap 'kill "$sidecar" 2>/dev/null || true' EXIT
url=
for _ in $(seq 100); do
    url=$(sed -n 's/^tagalong: admin interface on //p' "$work/sidecar.log")
    [[ -z $url ]] || break
    kill -0 "$sidecar" 2>/dev/null || break
    sleep 0.1
done
if [[ -z $url ]]; then
    cat "$work/sidecar.log" >&2
    exit 1
fi

curl --silent --show-error --fail "$url/openapi.json" >"$work/openapi.json"
"$python" -m openapi_spec_validator --schema 3.1 "$work/openapi.json"

# Not the stream of events: it ends with the sidecar alone.
"$work/venv/bin/schemathesis" --no-color run "$url/openapi.json" \
    --header "Authorization: Bearer $TAGALONG_ADMIN_TOKEN" \
    --exclude-path /v1/events \
    --checks not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance \
    --phases examples,coverage,fuzzing \
    --max-examples 20 --max-time 60 --seed 1 --request-timeout 30 \
    --generation-database none
