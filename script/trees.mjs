#!/usr/bin/env node
// Checks that the specification and the unit tests agree: every function of OtpVerifier's and OtpSafeGuard's ABI and every
// way of OtpGated has a tree, every branch of a tree has its test, named after it and in its order (`bulloak check`), and no
// test beside a tree is missing in it, which bulloak does not ask. Every promise of INVARIANTS.md has its check. Run `forge
// build` first; BULLOAK and FOUNDRY_OUT name other places of tool and artifacts.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';

process.chdir(new URL('..', import.meta.url).pathname);
const BULLOAK = process.env.BULLOAK ?? 'target/tools/bin/bulloak';
const OUT = process.env.FOUNDRY_OUT ?? 'out';
const UNIT = 'test-sol/unit';

// OpenZeppelin's, tested there; test-sol/symbolic proves who may call those that change state.
const INHERITED = ['DEFAULT_ADMIN_ROLE', 'eip712Domain', 'getRoleAdmin', 'grantRole', 'hasRole', 'paused', 'renounceRole',
  'revokeRole', 'supportsInterface'];
// What is not a way of its own, by the tree that has its values.
const ELSEWHERE = {
  OtpVerifier: { ...all('initialize', ...INHERITED), ...all('initialize', 'GOVERNOR_ROLE', 'GUARDIAN_ROLE', 'ISSUER_ROLE') },
  OtpSafeGuard: {
    ...all('supportsInterface', 'VERIFIER', 'PURPOSE', 'SAFE_TRANSACTION_TYPEHASH', 'APPROVAL_LIFETIME', 'REMOVAL_DELAY',
      'REMOVAL_WINDOW', 'LIMIT_PERIOD'),
    ...all('configure', 'settingsOf'), ...all('approve', 'approvedUntil'),
  },
  OtpGated: { ...all('actionOf', 'VERIFIER'), ...all('useNonce', 'nonces') },
};

const faults = [];

wanted('OtpVerifier', '', abi('OtpVerifier'));
wanted('OtpSafeGuard', 'guard/', abi('OtpSafeGuard'));
// What it hands down is no part of its ABI.
const ways = read('src-sol/OtpGated.sol').matchAll(/^ {4}(?:modifier|function) _?(\w+)\(/gm);
wanted('OtpGated', 'gated/', [...abi('OtpGated'), ...[...ways].map(([, name]) => name)]);

function wanted(contract, folder, names) {
  if (names.length === 0) faults.push(`${contract} has no function`);
  for (const name of names) {
    const tree = ELSEWHERE[contract][name] ?? name;
    if (!existsSync(`${UNIT}/${folder}${tree}/${tree}.tree`)) {
      faults.push(`${UNIT}/${folder}${tree}/${tree}.tree is missing: ${contract}.${name}`);
    }
  }
}

function abi(contract) {
  const artifact = JSON.parse(read(`${OUT}/${contract}.sol/${contract}.json`));
  return artifact.abi.filter(({ type }) => type === 'function').map(({ name }) => name);
}

function all(tree, ...names) {
  return Object.fromEntries(names.map((name) => [name, tree]));
}

function read(file) {
  return readFileSync(file, 'utf8');
}

const trees = readdirSync(UNIT, { recursive: true }).filter((path) => path.endsWith('.tree'));
for (const path of trees) {
  const tree = `${UNIT}/${path}`;
  const branches = branchesOf(read(tree));
  const source = read(tree.replace(/\.tree$/, '.t.sol'));
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

// The promises of INVARIANTS.md: each has its check, and the campaign calls it.
const promises = [...read('test-sol/invariant/INVARIANTS.md').matchAll(/^(\d+)\. /gm)].map(([, number]) => number);
const campaign = read('test-sol/invariant/Invariants.t.sol');
for (const number of promises) {
  const checks = [...campaign.matchAll(new RegExp(`function (_${number}_\\w+)\\(\\)`, 'g'))].map(([, name]) => name);
  if (checks.length !== 1) faults.push(`INVARIANTS.md ${number} has ${checks.length} checks`);
  else if (!campaign.includes(`        ${checks[0]}();`)) faults.push(`${checks[0]} is never called`);
}
for (const [, number] of campaign.matchAll(/function _(\d+)_/g)) {
  if (!promises.includes(number)) faults.push(`check ${number} is not in INVARIANTS.md`);
}

for (const fault of faults) console.error(`trees: ${fault}`);
if (faults.length === 0) console.log(`trees: ${trees.length} trees and their tests agree`);
process.exit(faults.length === 0 ? 0 : 1);
