#!/usr/bin/env bash
# The package for Node.js: its types, and its tests with the real sidecar. clients/node/tests/run.sh TAGALONG-BINARY
set -euo pipefail

TAGALONG_BINARY=$(realpath "$1")
export TAGALONG_BINARY
cd "$(dirname "$0")"

# The versions of package-lock.json and no others, fetched once; a Node.js that Fastify can run on is one of them.
if [[ ! node_modules/.package-lock.json -nt package-lock.json ]]; then
    npm ci --no-audit --no-fund
    touch node_modules/.package-lock.json
fi
export PATH="$PWD/node_modules/.bin:$PATH"

# The sources say their types themselves; ../types is what follows from that, for those who install the package.
types=$(mktemp -d)
trap 'rm -rf "$types"' EXIT
tsc --project .. --outDir "$types"
if ! diff -r ../types "$types"; then
    echo "clients/node/types is not what clients/node/src says: run clients/node/tests/node_modules/.bin/tsc --project clients/node" >&2
    exit 1
fi
tsc --project .

# npm packs a licence that lies in the folder, and no other.
cmp ../../../LICENSE ../LICENSE

node --test --test-concurrency=2 --test-timeout=120000 ./*.test.mjs
