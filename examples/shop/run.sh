#!/usr/bin/env bash
# Runs the shop: gunicorn with two workers, and the sidecar in front of it. All of it ends with Ctrl-C.
# examples/shop/run.sh TAGALONG-BINARY
set -euo pipefail

binary=$(realpath "${1:?which binary of tagalong?}")
if [[ ! -x $binary || -d $binary ]]; then
    echo "shop: $binary is no program" >&2
    exit 1
fi
cd "$(dirname "$0")"
umask 077 # sessions, passwords and keys: for their owner alone
data=../../target/shop/data
mkdir -p "$data"
data=$(cd "$data" && pwd)
export SHOP_DATA=$data SHOP_ADMIN_URL=http://127.0.0.1:9080
# Not those of another project, which the caller may have.
export DJANGO_SETTINGS_MODULE=shop.settings PYTHONDONTWRITEBYTECODE=1

for port in 8000 8080 9080; do
    if (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
        echo "shop: somebody listens on port $port already; end that first" >&2
        exit 1
    fi
done

python=$(../../scripts/venv.sh ../../target/shop/run requirements.txt)

# Passwords that nobody else has, kept for the next time.
secret() { # secret <file>
    [[ -s $1 ]] || od -An -N12 -tx1 /dev/urandom | tr -d ' \n' >"$1"
    cat "$1"
}
SHOP_ADMIN_PASSWORD=$(secret "$data/admin-password")
SHOP_STAFF_TOKEN=$(secret "$data/staff-token")
export SHOP_ADMIN_PASSWORD SHOP_STAFF_TOKEN

processes=()
# shellcheck disable=SC2317 # called by the traps
stop() {
    trap - EXIT INT TERM
    for process in "${processes[@]}"; do
        kill "$process" 2>/dev/null || true
    done
    wait || true
}
trap stop EXIT
trap 'stop; exit 0' INT TERM

until_answers() { # until_answers <url> <process> <log>
    for _ in {1..200}; do
        if curl -fsm 5 -o /dev/null --noproxy '*' "$1"; then return; fi
        if ! kill -0 "$2" 2>/dev/null; then break; fi
        sleep 0.1
    done
    echo "shop: $1 does not answer:" >&2
    tail "$3" >&2
    exit 1
}

# The sidecar first: what `seed` changes is told to it. In sessions of their own: Ctrl-C is for this script, which ends each of
# them once.
setsid "$binary" serve --config tagalong.yaml >"$data/sidecar.log" 2>&1 &
processes+=($!)
until_answers http://127.0.0.1:9080/healthz $! "$data/sidecar.log"
"$python" manage.py migrate --verbosity 0
"$python" manage.py seed
setsid "$python" -m gunicorn --bind 127.0.0.1:8000 --workers 2 --threads 4 --graceful-timeout 3 --log-level warning shop.wsgi >"$data/gunicorn.log" 2>&1 &
processes+=($!)
until_answers http://127.0.0.1:8000/ $! "$data/gunicorn.log"

cat <<TEXT

The shop       http://127.0.0.1:8080/
Its admin      http://127.0.0.1:8080/admin/   user admin, password $SHOP_ADMIN_PASSWORD
The dashboard  http://127.0.0.1:9080/         what the sidecar does
Logs, secrets  $data

1. A miss   2. a hit   3. an order   4. the new number, asked of the shop again:

  curl -si http://127.0.0.1:8080/products/1 | grep -iE '^cache-status|in stock|left'
  curl -si http://127.0.0.1:8080/products/1 | grep -iE '^cache-status|in stock|left'
  curl -s -H 'Content-Type: application/json' -d '{"products": {"1": 2}}' http://127.0.0.1:8080/api/orders; echo
  curl -si http://127.0.0.1:8080/products/1 | grep -iE '^cache-status|in stock|left'

Ctrl-C ends all of it.
TEXT
wait -n "${processes[@]}" || true
echo "shop: a part of it has ended; see $data" >&2
exit 1
