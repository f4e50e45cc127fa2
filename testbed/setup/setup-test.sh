#!/bin/sh
# What only the tests need beside setup.sh: Python environments for the stand-in for AWS KMS and for halmos, which proves
# what it can of the contracts, bulloak, which holds tests to their trees, promtool, which tests the alerts, and Chromium
# with what drives it, for the tests of the pages. Does nothing twice, and needs no network when nothing is missing.
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

# debian_package PACKAGE NEED MEND: installed by apt where there is one, for what NEED says; MEND is another way
debian_package() {
    apt=apt-get
    [ "$(id -u)" = 0 ] || apt="sudo -n apt-get"
    say "$apt install $1, for $2"
    if ! command -v apt-get >/dev/null || ! { $apt update -qq && $apt install -y -qq --no-install-recommends "$1"; } >/dev/null; then
        echo "setup-test: MISSING $2" >&2
        echo "       mend it with: apt-get install -y --no-install-recommends $1, or: $3" >&2
        exit 1
    fi
}

if command -v promtool >/dev/null; then
    say "$(promtool --version 2>&1 | head -n 1 | cut -d'(' -f1)"
else
    debian_package prometheus 'promtool, which tests ops/alerts.yml' 'brew install prometheus'
fi
browser=${CHROMIUM:-$(command -v chromium || echo /Applications/Chromium.app/Contents/MacOS/Chromium)}
# What it says on standard error is of the machine, not of us.
if version=$("$browser" --version 2>/dev/null); then
    say "$version"
else
    debian_package chromium 'a browser, which tests the pages' 'set CHROMIUM to the path of one'
fi
if cmp -s web/tests/package-lock.json web/tests/node_modules/.installed-lock.json; then
    say "web/tests/node_modules is as its lock file has it"
else
    say "web/tests: npm ci --ignore-scripts"
    (cd web/tests && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
    cp web/tests/package-lock.json web/tests/node_modules/.installed-lock.json
fi
python_environment setup-test target/tools/schemathesis testbed/setup/schemathesis.txt
python_environment setup-test testbed/kms/.venv testbed/kms/requirements.txt
python_environment setup-test target/tools/halmos test-sol/symbolic/requirements.txt
say "ready"
