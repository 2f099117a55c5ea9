#!/bin/bash
# Compresses one file into a directory, as a command of `inotifier consume`:
#
#   inotifier consume archive file.completed -- archive.sh /srv/archive {path}
#
# Exit code 0 says that the file is dealt with, any other has it tried again. After a crash it may be
# run once more for the same event: so the result gets its name when it is whole, and always the same.
# (The file's own name is inside: gunzip -N.)
set -eu
[ $# -eq 2 ] || { echo "usage: ${0##*/} DIRECTORY FILE" >&2; exit 2; }
directory=$1
file=$2

part=$directory/.$INOTIFIER_ID.$$
trap 'rm -f -- "$part"' EXIT
gzip -c -- "$file" >"$part"
sync -- "$part" # what is acked must be there after a power cut, too
mv -- "$part" "$directory/$INOTIFIER_ID.gz"
sync -- "$directory"
