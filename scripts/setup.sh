#!/usr/bin/env bash
# Installs what building Tagalong needs and this machine lacks; with `test`, what the tests need as well; with
# `conformance`, what the HTTP test suite does; with `fuzz`, what the fuzzer does; with `dashboard`, what its tests need; with `node` and
# `frameworks`, what the tests of the package for Node.js and of docs/frameworks.md do; with `shop`, what examples/shop runs with; with
# `docs`, what the commands on the pages do; with `instructions`, what counts them; with `helm`, what the tests of the chart do; with `packaging` what those of the
# image and the service do, and with `packages` what builds and tests the Debian package; with `attack-tools`, what attacks that others have written need.
# Quick and silent where nothing is missing. Installs through apt as root or with passwordless sudo; anywhere else it
# says in one line what to install.
set -euo pipefail

case ${1-} in
"" | attack-tools | conformance | dashboard | docs | frameworks | fuzz | helm | instructions | node | packages | packaging | shop | test) ;;
*)
    echo "scripts/setup.sh: nothing is known of $1" >&2
    exit 2
    ;;
esac

missing=()
need() { # need <Debian package> <command that succeeds once it is there>
    "${@:2}" >/dev/null 2>&1 || missing+=("$1")
}

need cmake command -v cmake # zlib-ng, which Pingora compresses with
need gcc command -v cc      # the same, ring, and the allocator
need libc6-dev test -e /usr/include/stdio.h
need make command -v make   # the allocator
if [[ ${1-} == test ]]; then
    need curl command -v curl # the three lines of the demo are run as printed
    need git command -v git   # an upgrade is one from what was before
    need redis-server command -v redis-server
    need python3 command -v python3 # the walk in front of Datasette; Schemathesis; the Django package
    need python3-venv python3 -c 'import ensurepip, venv'
    need shellcheck command -v shellcheck
fi
if [[ ${1-} == shop ]]; then
    need curl command -v curl
    need python3 command -v python3
    need python3-venv python3 -c 'import ensurepip, venv'
fi
if [[ ${1-} == docs ]]; then
    need curl command -v curl # the pages show it, and jq
    need jq command -v jq
    need python3 command -v python3
    need python3-venv python3 -c 'import ensurepip, venv'
fi
if [[ ${1-} == conformance ]]; then
    need nodejs command -v node # runs the suite's origin and client
    need npm command -v npm     # fetches the suite
fi
if [[ ${1-} == dashboard ]]; then
    need chromium command -v chromium # the page is tested in a real browser
    need npm command -v npm           # fetches what drives it, and a Node.js for that
fi
if [[ ${1-} == node ]]; then
    need npm command -v npm # fetches Express, Fastify, TypeScript, and a Node.js for them
fi
if [[ ${1-} == frameworks ]]; then
    need golang-go command -v go
    need nodejs command -v node
    need python3 command -v python3
    need python3-venv python3 -c 'import ensurepip, venv'
fi
if [[ ${1-} == packaging || ${1-} == packages ]]; then
    need binutils command -v readelf
    need ca-certificates test -e /etc/ssl/certs/ca-certificates.crt # which the image gets
    need curl command -v curl
    need dpkg-dev command -v dpkg-parsechangelog
    need openssl command -v openssl
    need python3 command -v python3
    need python3-venv python3 -c 'import ensurepip, venv'
    need redis-server command -v redis-server # in place of the Valkey of examples/compose
    need strace command -v strace             # which system calls the service makes
    need systemd command -v systemd-analyze
fi
if [[ ${1-} == packages ]]; then
    need lintian command -v lintian
fi
if [[ ${1-} == helm ]]; then
    need golang-go command -v go # builds helm and kubeconform; fetches the version of Go that they want by itself
    need ca-certificates test -e /etc/ssl/certs/ca-certificates.crt
    need curl command -v curl # what `helm test` runs
    need redis-server command -v redis-server
    need python3 command -v python3
    need python3-venv python3 -c 'import ensurepip, venv'
fi
if [[ ${1-} == instructions ]]; then
    need python3 command -v python3
    need valgrind command -v valgrind # its callgrind
fi
if [[ ${1-} == attack-tools ]]; then
    need golang-go command -v go # builds h2spec
    need ca-certificates test -e /etc/ssl/certs/ca-certificates.crt # which it is fetched with
    need openssl command -v openssl
    need python3 command -v python3
    need python3-venv python3 -c 'import ensurepip, venv'
    need slowhttptest command -v slowhttptest
fi
if [[ ${1-} == fuzz ]]; then
    need g++ command -v c++ # libFuzzer
    need python3 command -v python3
fi

if ! command -v cargo >/dev/null 2>&1; then
    echo "tagalong: Rust is missing; install it from https://rustup.rs and run this again" >&2
    exit 1
fi
# rustup installs the version of rust-toolchain.toml by itself; another cargo does not read that file.
wanted=$(sed -n 's/^channel = "\(.*\)"/\1/p' "$(dirname "$0")/../rust-toolchain.toml")
if ! command -v rustup >/dev/null 2>&1 && ! rustc --version | grep -qF " $wanted "; then
    echo "tagalong: Rust $wanted is needed, found $(rustc --version); rustup (https://rustup.rs) brings it by itself" >&2
    exit 1
fi

install_missing() {
    local as_root=() install
    if ((EUID != 0)); then
        as_root=(sudo -n)
    fi
    if ! command -v apt-get >/dev/null 2>&1 || ! "${as_root[@]}" true 2>/dev/null; then
        echo "tagalong: please install ${missing[*]} (on Debian: sudo apt-get install ${missing[*]}) and run this again" >&2
        exit 1
    fi

    echo "tagalong: installing ${missing[*]}" >&2
    install=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends)
    # The package lists of a fresh machine are empty; those of others are new enough more often than not.
    if ! "${install[@]}" "${missing[@]}" >/dev/null 2>&1; then
        "${as_root[@]}" apt-get update -q >/dev/null
        "${install[@]}" "${missing[@]}" >/dev/null
    fi
}

((${#missing[@]} == 0)) || install_missing

if [[ ${1-} == fuzz ]] && ! cargo fuzz --version >/dev/null 2>&1; then
    echo "tagalong: installing cargo-fuzz" >&2
    cargo install --locked --quiet cargo-fuzz
fi
