#!/bin/sh
# Everything that is tested, step by step, with a summary at the end. A step that fails does not hide those after it; the
# whole ends with 1 if any did. FORGE names the native forge: the package's launcher loses the exit code.
set -u
cd "$(dirname "$0")/../.."

passed=0
failed=0
summary=

# step NAME COMMAND...
step() {
    name=$1
    shift
    echo
    echo "==> $name: $*"
    begin=$(date +%s)
    if "$@"; then
        outcome=ok
        passed=$((passed + 1))
    else
        outcome=FAILED
        failed=$((failed + 1))
    fi
    took=$(($(date +%s) - begin))
    summary="$summary$(printf '%-7s %5d s  %s' "$outcome" "$took" "$name")
"
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

step 'Rust format' cargo fmt --all --check
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
step 'Rust lint' cargo clippy --locked --workspace --all-targets --quiet -- -D warnings
step 'Rust documentation' documentation
step 'Rust build' cargo build --locked --workspace --quiet
step 'Rust tests' cargo test --locked --workspace --no-fail-fast --quiet

echo
printf '%s' "$summary"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
