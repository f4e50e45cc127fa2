#!/bin/sh
# Runs the rules of semgrep.yml over src-sol, after showing on a sample that each of them fires where it should, and only
# there: a rule that matches nothing passes everything. SEMGREP names another semgrep than that of target/tools/python.
set -eu
cd "$(dirname "$0")/../.."
semgrep=$(command -v "${SEMGREP:-target/tools/python/bin/semgrep}") || {
    echo "rules: no semgrep; make setup-deep installs it" >&2
    exit 1
}
semgrep=$(cd "$(dirname "$semgrep")" && pwd)/$(basename "$semgrep") # it is called from another folder
rules=$(pwd)/script/analysis/semgrep.yml
sample=$(mktemp -d)
trap 'rm -rf "$sample"' EXIT
mkdir -p "$sample/src-sol/libraries"

# A line that a rule must find ends with its name.
cat >"$sample/src-sol/Sample.sol" <<'SOL'
// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

contract Sample {
    // x.call(data); tx.origin, block.timestamp and assembly in a comment are no finding
    function found(address x, bytes calldata data) external payable {
        require(tx.origin == msg.sender); // tx-origin
        x.call(data); // unchecked-low-level-call
        x.call{value: 1}(data); // unchecked-low-level-call
        x.delegatecall(data); // unchecked-low-level-call
        x.staticcall(data); // unchecked-low-level-call
        payable(x).send(1); // unchecked-low-level-call
        (, bytes memory returned) = x.call(data); // unchecked-low-level-call
        assembly ("memory-safe") {} // assembly-outside-libraries
        assembly {} // assembly-outside-libraries
        uint256 random = uint256(keccak256(abi.encode(block.timestamp))); // timestamp-for-more-than-expiry
        require(block.timestamp % 2 == random % 2); // timestamp-for-more-than-expiry
    }

    function notFound(address x, bytes calldata data) external returns (uint256 expiry) {
        (bool ok,) = x.call(data);
        require(ok);
        expiry = block.timestamp + 60;
    }

    function _isPast(uint256 last) private view returns (bool) {
        return block.timestamp > last;
    }
}
SOL
printf 'library Sample {\n    function f() internal pure {\n        assembly {}\n    }\n}\n' >"$sample/src-sol/libraries/Sample.sol"

run() {
    "$semgrep" --config "$rules" --metrics off --disable-version-check --quiet "$@"
}

expected=$(grep -n '; // [a-z-]*$\|{} // [a-z-]*$' "$sample/src-sol/Sample.sol" | sed 's/:.*\/\/ / /' | sort)
found=$(cd "$sample" && run --json src-sol | node -e '
  const { results, errors } = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
  if (errors.length) throw new Error(JSON.stringify(errors));
  for (const { path, start, check_id } of results) {
    console.log(`${path === "src-sol/Sample.sol" ? "" : path}${start.line} ${check_id.split(".").pop()}`);
  }' | sort)
if [ "$expected" != "$found" ]; then
    printf 'rules: on the sample these should be found:\n%s\nand these were:\n%s\n' "$expected" "$found" >&2
    exit 1
fi
run --error src-sol
echo "rules: each fires on its sample, none in src-sol"
