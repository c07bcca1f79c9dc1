#!/usr/bin/env bash
# Builds the Debian package around a program that is built already, and prints where it is. packaging/deb/build.sh PROGRAM
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
"$here/stage.sh" "$1"
cd "$here/../.."
PATH=$PWD/target/tools/bin:$PATH
cargo deb --no-build --no-strip --quiet --output target/packaging/
