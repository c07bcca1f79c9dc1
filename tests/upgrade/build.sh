#!/usr/bin/env bash
# Builds the program as it was: tests/upgrade/build.sh [<revision>]; says at the end where it is. Without a revision that is the last
# tag, or before there is one the commit before this one. What is built stays in target/upgrade, and is built anew only for another.
set -euo pipefail
cd "$(dirname "$0")/../.."

# In a container the folder is another user's.
git=(git -c "safe.directory=*")
revision=${1:-$("${git[@]}" describe --tags --abbrev=0 HEAD^ 2>/dev/null || echo HEAD^)}
commit=$("${git[@]}" rev-parse --verify "$revision^{commit}") || {
    echo "tests/upgrade/build.sh: there is no $revision here; a shallow clone has no past (git fetch --unshallow)" >&2
    exit 2
}
folder=target/upgrade
if [[ ! -x $folder/tagalong-$commit ]]; then
    rm -rf "$folder/source"
    mkdir -p "$folder/source"
    "${git[@]}" archive "$commit" | tar -x -C "$folder/source"
    CARGO_TARGET_DIR="$PWD/$folder/target" cargo build --locked --bin tagalong --manifest-path "$folder/source/Cargo.toml" >&2
    cp "$folder/target/debug/tagalong" "$folder/tagalong-$commit"
fi
echo "$folder/tagalong-$commit"
