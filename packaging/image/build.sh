#!/usr/bin/env bash
# Builds the program of the image, and lays the image's files out. The Dockerfile calls it, and so does `make image-test`, where no
# container engine is needed. packaging/image/build.sh FOLDER
set -euo pipefail

folder=$1
cd "$(dirname "$0")/../.."

# Linked with glibc itself and not with its shared libraries: nothing else is needed in the image, and memory is allocated as
# everywhere else (musl's allocator is slow with several threads). Only the last step differs from `cargo build --profile dist`.
cargo rustc --locked --profile dist --bin tagalong -- -C target-feature=+crt-static
program=${CARGO_TARGET_DIR:-target}/dist/tagalong
headers=$(readelf --program-headers "$program")
if [[ $headers == *INTERP* ]]; then
    echo "image: $program wants shared libraries, which the image does not have" >&2
    exit 1
fi
packaging/image/layout.sh "$program" "$folder"
