#!/bin/sh
# What `helm test` runs: clients are answered through Tagalong; what is stored is found, and forgotten with its tag.
# PAGE: a URL that clients ask for, or nothing. ADMIN: the admin interface. TOKEN: what it wants.

fail() {
  echo "FAILED: $1" >&2
  exit 1
}

if [ -n "$PAGE" ]; then
  said=$(curl -sS --max-time 40 --retry 5 --retry-connrefused -D - -o /dev/null "$PAGE" | tr -d '\r' | grep -i '^cache-status:') ||
    fail "the answer of $PAGE has no Cache-Status: it did not come through Tagalong"
  echo "$PAGE: $said"
fi

# One pod is asked all along: without a shared store another knows nothing of it.
pod=$(curl -sS --max-time 10 --retry 5 --retry-connrefused -o /dev/null -w '%{remote_ip} %{remote_port}' "$ADMIN/readyz") ||
  fail "$ADMIN cannot be reached"
host=${pod% *}
case $host in *:*) host="[$host]" ;; esac
api="http://$host:${pod#* }/v1"
key="helm-test-$(date +%s)-$$"

# step WHAT STATUS ARGUMENTS: a call that must have this status. The token is no argument, which others could see.
step() {
  what=$1 wanted=$2
  shift 2
  status=$(printf 'Authorization: Bearer %s\n' "$TOKEN" | curl -sS --max-time 10 -o /dev/null -w '%{http_code}' -H @- "$@") ||
    fail "$what: no answer"
  [ "$status" = "$wanted" ] || fail "$what: expected $wanted, got $status"
  echo "$what: $status"
}

step "a miss" 404 "$api/objects/$key"
step "stored" 201 -X PUT -H "Cache-Tag: HelmTest:$key" -H 'Tagalong-Cache-Control: max-age=60' --data-binary kept "$api/objects/$key"
step "a hit" 200 "$api/objects/$key"
step "an increment" 200 -H 'Content-Type: application/json' --data "{\"tags\": [\"HelmTest:$key\"]}" "$api/tags/increment"
step "a miss again" 404 "$api/objects/$key"
echo "all is well"
