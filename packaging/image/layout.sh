#!/usr/bin/env bash
# Lays the files of the image out in a folder, which must not be there yet. packaging/image/layout.sh PROGRAM FOLDER
set -euo pipefail

program=$1
folder=$2
here=$(cd "$(dirname "$0")" && pwd)
authorities=/etc/ssl/certs/ca-certificates.crt # of Debian's package ca-certificates

mkdir "$folder"
put() { # put <mode> <file> <path in the image>
    install -D -m "$1" "$2" "$folder$3"
}

put 755 "$program" /usr/bin/tagalong
# Without lines and types, which are for debuggers; the names of functions stay, for backtraces.
strip --strip-debug "$folder/usr/bin/tagalong"
put 644 "$authorities" "$authorities"
put 644 "$here/tagalong.yaml" /etc/tagalong/tagalong.yaml
install -d -m 755 "$folder/etc/tagalong/rules"
put 644 "$here/passwd" /etc/passwd
put 644 "$here/group" /etc/group
put 644 "$here/../../LICENSE" /usr/share/doc/tagalong/LICENSE
put 644 "$here/../THIRD-PARTY-LICENSES.txt" /usr/share/doc/tagalong/THIRD-PARTY-LICENSES.txt
put 644 "$here/../tagalong.cdx.json" /usr/share/doc/tagalong/tagalong.cdx.json
