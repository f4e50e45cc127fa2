#!/usr/bin/env node
// Checks that the specification and the unit tests agree: every function of the verifier's ABI has a tree, every branch
// of a tree has its test, named after it and in its order (`bulloak check`), and no test beside a tree is missing in it,
// which bulloak does not ask. Run `forge build` first; BULLOAK and FOUNDRY_OUT name other places of tool and artifacts.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';

process.chdir(new URL('..', import.meta.url).pathname);
const BULLOAK = process.env.BULLOAK ?? 'target/tools/bin/bulloak';
const OUT = process.env.FOUNDRY_OUT ?? 'out';
const UNIT = 'test-sol/unit';

// OpenZeppelin's, tested there; test-sol/symbolic proves who may call those that change state.
const INHERITED = ['DEFAULT_ADMIN_ROLE', 'eip712Domain', 'getRoleAdmin', 'grantRole', 'hasRole', 'paused', 'renounceRole',
  'revokeRole', 'supportsInterface'];
// Their values are in the tree of initialize.
const CONSTANTS = ['GOVERNOR_ROLE', 'GUARDIAN_ROLE', 'ISSUER_ROLE'];

const faults = [];

const { abi } = JSON.parse(readFileSync(`${OUT}/OtpVerifier.sol/OtpVerifier.json`, 'utf8'));
for (const { type, name } of abi) {
  if (type !== 'function' || INHERITED.includes(name) || CONSTANTS.includes(name)) continue;
  if (!existsSync(`${UNIT}/${name}/${name}.tree`)) faults.push(`${UNIT}/${name}/${name}.tree is missing`);
}

const trees = readdirSync(UNIT, { recursive: true }).filter((path) => path.endsWith('.tree'));
for (const path of trees) {
  const tree = `${UNIT}/${path}`;
  const branches = branchesOf(readFileSync(tree, 'utf8'));
  const source = readFileSync(tree.replace(/\.tree$/, '.t.sol'), 'utf8');
  for (const [, name] of source.matchAll(/function (test\w*)\(/g)) {
    if (!branches.has(name)) faults.push(`${tree} has no branch for ${name}`);
  }
}

// A test's name as bulloak makes it of a branch. Only for finding tests without one: bulloak has the last word on names.
function branchesOf(text) {
  const names = new Set();
  const lines = text.split('\n').slice(1).map((line) => line.replace(/^[│ ]*(├── |└── )/, ''));
  lines.forEach((line, i) => {
    const [first, ...rest] = line.replace(/[^\w ]/g, '').split(/ +/);
    const tail = rest.map((word) => word[0].toUpperCase() + word.slice(1)).join('');
    const keyword = { when: 'When', given: 'Given' }[first.toLowerCase()];
    if (first === 'it') names.add(`test_${tail}`);
    else if (keyword && lines[i + 1] === 'it should revert') names.add(`test_Revert${keyword}_${tail}`);
    else if (keyword) names.add(`test_${keyword}${tail}`);
  });
  return names;
}

// The modifiers that bulloak would have for nested branches are not how these tests set up.
const check = spawnSync(BULLOAK, ['check', '-m', ...trees.map((path) => `${UNIT}/${path}`)], { stdio: 'inherit' });
if (check.error) faults.push(`${BULLOAK}: ${check.error.message}; cargo install --locked --root target/tools bulloak@0.9.2`);
else if (check.status !== 0) faults.push('bulloak check failed');

for (const fault of faults) console.error(`trees: ${fault}`);
if (faults.length === 0) console.log(`trees: ${trees.length} trees and their tests agree`);
process.exit(faults.length === 0 ? 0 : 1);
