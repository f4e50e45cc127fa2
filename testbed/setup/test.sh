#!/bin/sh
# Everything that is tested, step by step, with a summary at the end. A step that fails does not hide those after it; the
# whole ends with 1 if any did. FORGE names the native forge: the package's launcher loses the exit code.
set -u
cd "$(dirname "$0")/../.."

logs=target/test
rm -rf "$logs"
mkdir -p "$logs"
outcomes=$logs/outcomes

# step NAME COMMAND...
step() {
    name=$1
    shift
    echo
    echo "==> $name: $*"
    begin=$(date +%s)
    if "$@"; then outcome=ok; else outcome=FAILED; fi
    # One line in one write: two tracks append.
    printf '%-7s %5d s  %s\n' "$outcome" "$(($(date +%s) - begin))" "$name" >>"$outcomes"
}

# Private items too: whoever works here reads those.
documentation() {
    RUSTDOCFLAGS='-D warnings -A rustdoc::private_intra_doc_links' \
        cargo doc --locked --workspace --no-deps --document-private-items --quiet
}

# Beside what `forge build` left, which the next steps read.
coverage() {
    FOUNDRY_OUT=target/coverage/out FOUNDRY_CACHE_PATH=target/coverage/cache script/coverage.sh
}

solidity() {
    step 'Solidity format' "$FORGE" fmt --check
    step 'Solidity build' "$FORGE" build
    step 'Solidity lint' testbed/setup/lint.sh
    step 'Solidity style' node script/analysis/style.mjs
    step 'ABIs as committed' script/abi.sh --check
    step 'vectors as committed' node test-sol/vectors/generate.mjs --check
    step 'Solidity tests' "$FORGE" test
    step 'tests as in their trees' node script/trees.mjs
    step 'documents as the code' node script/docs.mjs --check
    step 'gas, size, layout, ABI as committed' node script/snapshots.mjs --check
    step 'Solidity coverage' coverage
    step 'Solidity proofs' script/prove.sh
    step 'deployment and governance' node --test test-sol/chain/*.test.mjs
}

pages() {
    (cd web && node_modules/.bin/tsc && node_modules/.bin/eslint . --max-warnings 0 && node test.mjs && node build.mjs)
}

# What concerns the contracts keeps one core busy, so Rust is built beside it. Tests of the daemons come after both: they
# need what forge made, and their time limits a machine that does nothing else.
echo "==> Solidity: begins beside the steps of Rust, and is shown when it is done; until then in $logs/solidity.log"
solidity >"$logs/solidity.log" 2>&1 &
track=$!
step 'pages: types, lint, unit tests, size' pages
step 'Rust format' cargo fmt --all --check
step 'Rust lint' cargo clippy --locked --workspace --all-targets --quiet -- -D warnings
step 'Rust documentation' documentation
step 'Rust build' cargo build --locked --workspace --quiet
step 'Rust test build' cargo test --locked --workspace --quiet --no-run
wait "$track" || printf '%-7s %5d s  %s\n' FAILED 0 'Solidity, which ended before its last step' >>"$outcomes"
cat "$logs/solidity.log"
step 'pages in a browser' node --test-reporter=spec web/tests/run.mjs
step 'Rust tests' cargo test --locked --workspace --no-fail-fast --quiet

echo
cat "$outcomes"
failed=$(grep -c '^FAILED' "$outcomes")
echo "$(grep -c '^ok' "$outcomes") passed, $failed failed"
[ "$failed" = 0 ]
