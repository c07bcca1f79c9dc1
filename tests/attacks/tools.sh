#!/usr/bin/env bash
# Brings the tools of public.py that Debian has not, unless they are there: h2spec, built in target/attack-tools/bin, and cpd in a virtual
# environment beside it.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
work=$here/../../target/attack-tools
mkdir -p "$work/bin"
work=$(cd "$work" && pwd)

# As go.mod and go.sum have it; quick where it is built already.
(cd "$here/tools" && GOBIN=$work/bin go install -trimpath github.com/summerwind/h2spec/cmd/h2spec)
"$here/../../scripts/venv.sh" "$work/venv" "$here/tools/requirements.txt" >/dev/null
