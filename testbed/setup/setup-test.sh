#!/bin/sh
# What only the tests need beside setup.sh: Python environments for the stand-in for AWS KMS and for halmos, which proves
# what it can of the contracts, bulloak, which holds tests to their trees, and promtool, which tests the alerts. Does nothing
# twice, and needs no network when nothing is missing.
set -eu
cd "$(dirname "$0")/../.."
. testbed/setup/python.sh

say() { echo "setup-test: $*"; }

# The version that script/trees.mjs names too.
bulloak=0.9.2
if [ "$(target/tools/bin/bulloak --version 2>/dev/null)" = "bulloak $bulloak" ]; then
    say "bulloak $bulloak"
else
    say "cargo install --locked --root target/tools bulloak@$bulloak"
    cargo install --locked --quiet --root target/tools "bulloak@$bulloak"
fi
if command -v promtool >/dev/null; then
    say "$(promtool --version 2>&1 | head -n 1 | cut -d'(' -f1)"
else
    apt=apt-get
    [ "$(id -u)" = 0 ] || apt="sudo -n apt-get"
    say "$apt install prometheus, for promtool"
    if ! command -v apt-get >/dev/null || ! { $apt update -qq && $apt install -y -qq --no-install-recommends prometheus; } >/dev/null; then
        echo "setup-test: MISSING promtool, which tests ops/alerts.yml" >&2
        echo "       mend it with: apt-get install -y --no-install-recommends prometheus, or: brew install prometheus" >&2
        exit 1
    fi
fi
python_environment setup-test target/tools/schemathesis testbed/setup/schemathesis.txt
python_environment setup-test testbed/kms/.venv testbed/kms/requirements.txt
python_environment setup-test target/tools/halmos test-sol/symbolic/requirements.txt
say "ready"
