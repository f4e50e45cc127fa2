#!/bin/sh
# What only the tests need beside setup.sh: a Python environment for the stand-in for AWS KMS. Does nothing twice, and
# needs no network when nothing is missing.
set -eu
cd "$(dirname "$0")/../kms"

say() { echo "setup-test: $*"; }
lacks() {
    echo "setup-test: MISSING $1" >&2
    echo "            mend it with: $2" >&2
    exit 1
}

if cmp -s requirements.txt .venv/installed-requirements.txt && .venv/bin/python --version >/dev/null 2>&1; then
    say "testbed/kms/.venv is as requirements.txt has it"
    exit 0
fi
mend='apt-get install -y python3 python3-venv, or: brew install python'
python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || lacks "python3, 3.10 or newer" "$mend"
python3 -c 'import ensurepip, venv' 2>/dev/null || lacks "Python's venv" "$mend"
say "testbed/kms/.venv: python3 -m venv, pip install -r requirements.txt"
rm -rf .venv
python3 -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input -r requirements.txt
cp requirements.txt .venv/installed-requirements.txt
say "ready"
