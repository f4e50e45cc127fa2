#!/bin/sh
# What only `make deep` needs: semgrep and slither in a Python environment below target/tools. Does nothing twice,
# and needs no network when nothing is missing.
set -eu
cd "$(dirname "$0")/../.."
. testbed/setup/python.sh

python_environment setup-deep target/tools/python script/analysis/requirements.txt
echo "setup-deep: ready"
