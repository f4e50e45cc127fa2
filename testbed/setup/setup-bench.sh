#!/bin/sh
# What only the benchmarks need: better-auth with the SQLite driver that it is measured with, which is built here. Does
# nothing twice, and needs no network when nothing is missing.
set -eu
cd "$(dirname "$0")/../bench/better-auth"

if cmp -s package-lock.json node_modules/.installed-lock.json; then
    echo "setup-bench: better-auth is as its lock file has it"
else
    echo "setup-bench: testbed/bench/better-auth: npm ci (builds better-sqlite3, two minutes)"
    npm ci --no-audit --no-fund --loglevel=error
    node -e 'new (require("better-sqlite3"))(":memory:").close()'
    cp package-lock.json node_modules/.installed-lock.json
fi
echo "setup-bench: ready"
