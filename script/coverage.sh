#!/bin/sh
# Holds every contract of src-sol outside examples at 100 % of its lines, statements, branches and functions. FORGE names
# the native forge. The figures of a file are read from the lcov report, statements from the summary, since lcov has none.
set -eu
cd "$(dirname "$0")/.."
forge=${FORGE:?the native forge}
report=$(mktemp -d)
trap 'rm -rf "$report"' EXIT

# Gas goals mean nothing without the optimizer, and coverage of random sequences and proofs is not what is asked here: what
# a line needs is a test that names it.
FOUNDRY_PROFILE=coverage "$forge" coverage --report summary --report lcov --report-file "$report/lcov.info" \
    --no-match-path 'test-sol/{Gas*.t.sol,invariant/**,symbolic/**}' >"$report/summary.txt" 2>"$report/log.txt" || {
    tail -n 60 "$report/summary.txt" "$report/log.txt" >&2
    exit 1
}

node - "$report" <<'JS'
const fs = require('node:fs');
const report = process.argv[2];
const checked = (file) => file.startsWith('src-sol/') && !file.startsWith('src-sol/examples/');
// A file of these is an interface's alone: it has nothing to run.
const empty = (file) => file.startsWith('src-sol/interfaces/');
const faults = [];
const seen = new Set();

let file, open;
for (const line of fs.readFileSync(`${report}/lcov.info`, 'utf8').split('\n')) {
  const [key, value = ''] = line.split(/:(.*)/);
  if (key === 'SF') (file = value), (open = []), seen.add(file);
  if (!file || !checked(file)) continue;
  const fields = value.split(',');
  if (key === 'DA' && fields[1] === '0') open.push(`line ${fields[0]}`);
  if (key === 'BRDA' && (fields[3] === '-' || fields[3] === '0')) open.push(`branch at line ${fields[0]}`);
  if (key === 'FNDA' && fields[0] === '0') open.push(`function ${fields[1]}`);
  if (key === 'end_of_record' && open.length) faults.push(`${file}: not reached: ${open.join(', ')}`);
}

for (const row of fs.readFileSync(`${report}/summary.txt`, 'utf8').split('\n')) {
  const [, name, ...cells] = row.split('|').map((cell) => cell.trim());
  if (!name || !checked(name)) continue;
  console.log(`${name}: lines ${cells[0]}, statements ${cells[1]}, branches ${cells[2]}, functions ${cells[3]}`);
  const short = cells.slice(0, 4).filter((cell) => !/^100\.00%|\(0\/0\)/.test(cell));
  if (short.length) faults.push(`${name}: ${short.join(', ')}`);
}

// A file that no report names is a file that nobody looked at.
for (const path of fs.readdirSync('src-sol', { recursive: true })) {
  const name = `src-sol/${path}`;
  if (name.endsWith('.sol') && checked(name) && !empty(name) && !seen.has(name)) faults.push(`${name}: in no report`);
}

for (const fault of faults) console.error(`coverage: ${fault}`);
if (faults.length === 0) console.log(`coverage: 100 % of ${[...seen].filter(checked).length} files`);
process.exit(faults.length === 0 ? 0 : 1);
JS
