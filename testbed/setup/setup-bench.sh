#!/bin/sh
# What only the benchmarks need: better-auth with the SQLite driver that it is measured with, which is built here, and
# ponder. Does nothing twice, and needs no network when nothing is missing.
set -eu
cd "$(dirname "$0")/../bench"

# install FOLDER NOTE: as its lock file has it
install() {
    if cmp -s "$1/package-lock.json" "$1/node_modules/.installed-lock.json"; then
        echo "setup-bench: $1 is as its lock file has it"
        return
    fi
    echo "setup-bench: testbed/bench/$1: npm ci ($2)"
    (cd "$1" && npm ci --no-audit --no-fund --loglevel=error)
}

install better-auth "builds better-sqlite3, two minutes"
(cd better-auth && node -e 'new (require("better-sqlite3"))(":memory:").close()')
cp better-auth/package-lock.json better-auth/node_modules/.installed-lock.json
install ponder "200 MB, a minute"
(cd ponder && node node_modules/.bin/ponder --version >/dev/null)
cp ponder/package-lock.json ponder/node_modules/.installed-lock.json
echo "setup-bench: ready"
