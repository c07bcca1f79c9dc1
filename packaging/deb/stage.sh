#!/usr/bin/env bash
# Puts what is generated for the Debian package where [package.metadata.deb] of Cargo.toml takes it from: target/packaging/deb.
# packaging/deb/stage.sh PROGRAM
set -euo pipefail

program=$(realpath "$1")
cd "$(dirname "$0")/../.."

staged=target/packaging/deb
rm -rf "$staged"
mkdir -p "$staged/completions"
install -m 755 "$program" "$staged/tagalong"
strip "$staged/tagalong"
"$program" man --out "$staged/man"
for shell in bash zsh fish; do
    "$program" completions "$shell" >"$staged/completions/$shell"
done

# Debian's form of a change log; what has changed stands in CHANGELOG.md, beside it.
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
maintainer=$(sed -n 's/^maintainer = "\(.*\)"/\1/p' Cargo.toml)
when=$(date --utc --rfc-email --date "@${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}")
printf 'tagalong (%s-1) unstable; urgency=medium\n\n  * See CHANGELOG.md.\n\n -- %s  %s\n' \
    "$version" "$maintainer" "$when" >"$staged/changelog"
