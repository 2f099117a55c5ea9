#!/bin/bash
# Runs a command for each finished file that consumer NAME has not been told of yet, then stops:
# consume-each.sh NAME COMMAND [ARGUMENT...]; the path comes last.
set -u
[ $# -gt 1 ] || { echo "usage: ${0##*/} NAME COMMAND [ARGUMENT...]" >&2; exit 2; }
name=$1
shift

while IFS= read -r -d '' path; do
  # </dev/null: a command that reads its input would eat the paths that follow.
  "$@" "$path" </dev/null || echo "${0##*/}: $1 failed ($?) for $path" >&2
done < <(inotifier consume "$name" file.completed --until-empty -0)
wait $!  # its exit code is ours: without a daemon there is nothing to do, but that is no success
