#!/bin/sh
# Runs the symbolic proofs of test-sol/symbolic; PROOFS.md there says what they prove. FORGE names the native forge,
# HALMOS another halmos than that of target/tools/halmos; arguments go to halmos, for a part of the proofs. Fails when a
# proof is refuted, runs out of time or was cut short at a loop's bound, and when those that passed are not those that are
# written and those that PROOFS.md names.
set -eu
cd "$(dirname "$0")/.."
forge=${FORGE:?the native forge}
halmos=$(command -v "${HALMOS:-target/tools/halmos/bin/halmos}") || {
    echo "prove: no halmos; make setup-test installs it" >&2
    exit 1
}
halmos=$(cd "$(dirname "$halmos")" && pwd)/$(basename "$halmos")
# forge for halmos' build, and the solver that is installed beside halmos
PATH=$(cd "$(dirname "$forge")" && pwd):$(dirname "$halmos"):$PATH
export PATH
# halmos reads its artifacts from below the root, and two builds of different profiles do not share a folder.
export FOUNDRY_PROFILE=symbolic FOUNDRY_OUT=target/symbolic/out FOUNDRY_CACHE_PATH=target/symbolic/cache

log=$(mktemp -d)
trap 'rm -rf "$log"' EXIT
"$halmos" --root . --forge-build-out target/symbolic/out --solver yices --solver-timeout-assertion 120s --no-status "$@" \
    >"$log/all" 2>&1 || {
    cat "$log/all" >&2
    exit 1
}
grep 'PASS' "$log/all"
if grep 'PASS' "$log/all" | grep -v 'bounds: \[\]'; then
    echo "prove: these were cut short at a loop's bound" >&2
    exit 1
fi
[ $# -eq 0 ] || exit 0

sed -n 's/.*PASS.* check_\([A-Za-z0-9_]*\)(.*/\1/p' "$log/all" | sort >"$log/proved"
sed -n 's/.*function check_\([A-Za-z0-9_]*\)(.*/\1/p' test-sol/symbolic/*.t.sol | sort >"$log/written"
sed -n 's/^| \([A-Z][A-Za-z0-9_]*\) |.*/\1/p' test-sol/symbolic/PROOFS.md | sort >"$log/said"
for other in written said; do
    diff "$log/proved" "$log/$other" >"$log/difference" || {
        echo "prove: proved (<) and $other (>) differ:" >&2
        cat "$log/difference" >&2
        exit 1
    }
done
echo "prove: $(wc -l <"$log/proved" | tr -d ' ') proved, as PROOFS.md has them"
