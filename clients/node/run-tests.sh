#!/bin/bash
# Installs what the client needs into a directory of its own, and runs its linter, the type check and
# its tests there; with the argument `lint` the linter and the type check only. INOTIFIER is the daemon.
# With numbers (22 24) the tests run on these versions of Node, too, which npm brings.
# Exit code 77: node or npm are missing, nothing was tested.
set -eu
here=$(cd "$(dirname "$0")" && pwd)

for tool in node npm; do
  command -v $tool >/dev/null || { echo "skipped: no $tool (apt install nodejs npm)"; exit 77; }
done
node -e 'process.exit(process.versions.node.split(".")[0] < 20 ? 1 : 0)' ||
  { echo "skipped: node $(node --version) is older than 20"; exit 77; }
if [ "${1-}" != lint ]; then
  export INOTIFIER=${INOTIFIER:-$here/../../build/release/inotifier}
  [ -x "$INOTIFIER" ] || { echo "$INOTIFIER: no daemon to test with: build it, or set INOTIFIER" >&2; exit 1; }
  INOTIFIER=$(realpath "$INOTIFIER")
fi
export INOTIFIER_VECTORS=$here/../vectors
unset INOTIFIER_FETCH_ENDPOINT INOTIFIER_PUBLISH_ENDPOINT INOTIFIER_SERVER_KEY INOTIFIER_KEY INOTIFIER_ROOTS

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -r "$here"/. "$work"
cd "$work"
npm install --no-audit --no-fund --loglevel error
npm run --silent lint
npm run --silent types
echo "lint, types: ok"
[ "${1-}" != lint ] || exit 0
node --test test/*.test.js
for version in "$@"; do
  npm exec --yes --package="node@$version" -- node --test test/*.test.js
done
