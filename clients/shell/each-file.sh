#!/bin/bash
# Runs a command for each finished file: each-file.sh COMMAND [ARGUMENT...]; the path comes last.
set -u
[ $# -gt 0 ] || { echo "usage: ${0##*/} COMMAND [ARGUMENT...]" >&2; exit 2; }

while IFS= read -r -d '' path; do
  # </dev/null: a command that reads its input would eat the paths that follow.
  "$@" "$path" </dev/null || echo "${0##*/}: $1 failed ($?) for $path" >&2
done < <(inotifier sub file.completed -0)
wait $!  # its exit code is ours: without a daemon there is nothing to do, but that is no success
