#!/usr/bin/env bash
# Builds the Debian package around a program that is built already, and prints where it is. packaging/deb/build.sh PROGRAM
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
"$here/stage.sh" "$1"
cd "$here/../.."
# One package: those who look for it take what is there.
rm -f target/packaging/tagalong_*.deb
PATH=$PWD/target/tools/bin:$PATH
cargo deb --no-build --no-strip --quiet --output target/packaging/
