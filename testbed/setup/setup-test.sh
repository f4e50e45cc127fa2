#!/bin/sh
# What only the tests need beside setup.sh: Python environments for the stand-in for AWS KMS and for halmos, which proves
# what it can of the contracts, and bulloak, which holds tests to their trees. Does nothing twice, and needs no network when
# nothing is missing.
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
python_environment setup-test target/tools/schemathesis testbed/setup/schemathesis.txt
python_environment setup-test testbed/kms/.venv testbed/kms/requirements.txt
python_environment setup-test target/tools/halmos test-sol/symbolic/requirements.txt
say "ready"
