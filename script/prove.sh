#!/bin/sh
# Runs the symbolic proofs of test-sol/symbolic; PROOFS.md there says what they prove. FORGE names the native forge,
# HALMOS another halmos than that of target/tools/python. Fails too when fewer proofs ran than there are.
set -eu
cd "$(dirname "$0")/.."
forge=${FORGE:?the native forge}
halmos=$(command -v "${HALMOS:-target/tools/python/bin/halmos}")
halmos=$(cd "$(dirname "$halmos")" && pwd)/$(basename "$halmos")
PATH=$(cd "$(dirname "$forge")" && pwd):$PATH
export PATH
# halmos reads its artifacts from below the root, and two builds of different profiles do not share a folder.
export FOUNDRY_PROFILE=symbolic FOUNDRY_OUT=target/symbolic/out FOUNDRY_CACHE_PATH=target/symbolic/cache

log=$(mktemp)
trap 'rm -f "$log"' EXIT
"$halmos" --root . --forge-build-out target/symbolic/out --solver-timeout-assertion 120s "$@" >"$log" 2>&1 || {
    cat "$log" >&2
    exit 1
}
grep 'PASS' "$log"
proved=$(grep -c 'PASS' "$log")
written=$(cat test-sol/symbolic/*.t.sol | grep -c 'function check_')
[ $# -gt 0 ] || [ "$proved" = "$written" ] || {
    echo "prove: $written checks are written and $proved were proved" >&2
    exit 1
}
echo "prove: $proved proved"
