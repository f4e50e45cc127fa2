#!/bin/sh
# Writes the ABIs that the Rust bindings are made from, core/abi/*.json, out of forge's artifacts (run `forge build`
# first). With --check it writes nothing and fails when a committed file differs.
set -eu
cd "$(dirname "$0")/.."
exec node - "$@" <<'EOF'
const fs = require('node:fs');

const args = process.argv.slice(2);
const check = args[0] === '--check';
if (args.length > 1 || (args.length === 1 && !check)) fail('usage: script/abi.sh [--check]');

let differs = false;
for (const name of ['OtpVerifier', 'GatedVault']) {
  const artifact = `out/${name}.sol/${name}.json`;
  const target = `core/abi/${name}.json`;
  if (!fs.existsSync(artifact)) fail(`${artifact} is missing; run forge build first`);
  const text = JSON.stringify(JSON.parse(fs.readFileSync(artifact, 'utf8')).abi, null, 2) + '\n';
  if (check) {
    const same = fs.existsSync(target) && fs.readFileSync(target, 'utf8') === text;
    if (!same) console.error(`${target} differs from ${artifact}; run script/abi.sh and commit`);
    differs ||= !same;
  } else {
    fs.mkdirSync('core/abi', { recursive: true });
    fs.writeFileSync(target, text);
    console.log(`wrote ${target}`);
  }
}
process.exit(differs ? 1 : 0);

function fail(message) {
  console.error(`abi.sh: ${message}`);
  process.exit(1);
}
EOF
