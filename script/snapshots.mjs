#!/usr/bin/env node
// The figures that a review has to see when they change, as files below test-sol/snapshots: byte-code sizes, storage
// layout and ABI of what is deployed (out of forge's artifacts; run `forge build` first), and the gas of whole
// transactions (which test-sol/Gas*.t.sol write to target/gas; run them first), with the table of docs/GAS.md. With --check
// nothing is written and a difference fails. `--table` prints the table. A storage layout is written only when it extends the one that is there:
// proxies have state in that one, and an upgrade reads it.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';

process.chdir(new URL('..', import.meta.url).pathname);
const OUT = process.env.FOUNDRY_OUT ?? 'out';
const HERE = 'test-sol/snapshots';
const GAS = 'target/gas';
const mode = process.argv[2] ?? '';
if (process.argv.length > 3 || !['', '--check', '--table'].includes(mode)) fail('usage: script/snapshots.mjs [--check|--table]');

const artifact = JSON.parse(readFileSync(`${OUT}/OtpVerifier.sol/OtpVerifier.json`, 'utf8'));
const gas = Object.assign({}, ...readdirGas().map((name) => JSON.parse(readFileSync(`${GAS}/${name}`, 'utf8'))));
for (const name of Object.keys(gas)) gas[name] = Number(gas[name]);

if (mode === '--table') {
  console.log(table());
} else {
  snapshot('gas.json', gas);
  snapshot('size.json', { OtpVerifier: { runtime: size('deployedBytecode'), creation: size('bytecode'), limit: 24576 } });
  snapshot('abi.json', signatures());
  snapshot('storage.json', layout());
  document();
}

function readdirGas() {
  const names = existsSync(GAS) ? readdirSync(GAS).filter((name) => name.endsWith('.json')).sort() : [];
  if (names.length === 0) fail(`nothing in ${GAS}; run forge test --match-path 'test-sol/Gas*.t.sol' first`);
  return names;
}

function size(what) {
  return (artifact[what].object.length - 2) / 2;
}

// One line for each entry, so that a difference reads well.
function signatures() {
  const types = (list) => `(${list.map(type).join(',')})`;
  const type = (part) => (part.components ? part.type.replace('tuple', types(part.components)) : part.type);
  return artifact.abi.map((entry) => {
    const indexed = (part) => type(part) + (part.indexed ? ' indexed' : '');
    const inputs = (entry.inputs ?? []).map(indexed).join(',');
    const outputs = entry.outputs?.length ? ` returns ${types(entry.outputs)}` : '';
    return `${entry.type} ${entry.name ?? ''}(${inputs})${outputs} ${entry.stateMutability ?? ''}`.trim();
  }).sort();
}

// The state is in namespaces (ERC-7201), which a storage layout does not show: it must be empty, and the namespaces'
// structs are read from the source, each member in its order. forge compiles with another output for it: in folders of its
// own, or the next build would have to begin anew.
function layout() {
  const forge = process.env.FORGE ?? 'forge';
  const env = { ...process.env, FOUNDRY_OUT: 'target/layout/out', FOUNDRY_CACHE_PATH: 'target/layout/cache' };
  const args = ['inspect', 'src-sol/OtpVerifier.sol:OtpVerifier', 'storageLayout', '--json'];
  const run = spawnSync(forge, args, { env, encoding: 'utf8' });
  if (run.status !== 0) fail(`${forge} inspect: ${run.error?.message ?? run.stderr}`);
  const members = (path, struct) => {
    const body = readFileSync(path, 'utf8').match(new RegExp(`struct ${struct} {([^}]*)}`))[1];
    return body.split('\n').map((line) => line.replace(/\/\/.*/, '').trim()).filter(Boolean);
  };
  const library = 'src-sol/libraries/OtpStorage.sol';
  return {
    slots: JSON.parse(run.stdout).storage.map(({ label, slot, offset, type }) => ({ label, slot, offset, type })),
    location: readFileSync(library, 'utf8').match(/LOCATION = (0x[0-9a-f]{64})/)[1],
    Layout: members(library, 'Layout'),
    Batch: members('src-sol/libraries/Batches.sol', 'Batch'),
    Policy: members('src-sol/interfaces/IOtpVerifier.sol', 'Policy'),
  };
}

function snapshot(name, value) {
  const path = `${HERE}/${name}`;
  const old = existsSync(path) ? readFileSync(path, 'utf8') : '';
  if (mode !== '--check' && name === 'storage.json' && old) mustExtend(JSON.parse(old), value);
  compare(path, old, `${JSON.stringify(value, null, 2)}\n`);
}

// The table between its two marks; the words around it are written by hand.
function document() {
  const path = 'docs/GAS.md';
  const old = readFileSync(path, 'utf8');
  const place = /(<!-- table -->\n)[^]*(<!-- end of table -->)/;
  if (!place.test(old)) fail(`${path} has no place for the table`);
  compare(path, old, old.replace(place, (_, begin, end) => `${begin}${table()}\n${end}`));
}

function compare(path, old, text) {
  if (mode !== '--check') {
    mkdirSync(HERE, { recursive: true });
    writeFileSync(path, text);
    console.log(`wrote ${path}`);
    return;
  }
  if (old === text) return;
  const [before, after] = [old.split('\n'), text.split('\n')];
  console.error(`${path} differs; if that is meant, run make snapshots and commit it`);
  for (const line of before.filter((each) => !after.includes(each))) console.error(`  - ${line}`);
  for (const line of after.filter((each) => !before.includes(each))) console.error(`  + ${line}`);
  process.exitCode = 1;
}

// Members may be added at the end of the namespace, and of a policy, whose slot has room. A batch's word is full.
function mustExtend(old, next) {
  for (const [part, was] of Object.entries(old)) {
    const kept = Array.isArray(was) && part !== 'Batch' ? next[part].slice(0, was.length) : next[part];
    if (JSON.stringify(kept) === JSON.stringify(was)) continue;
    fail(`the storage layout's ${part} is no extension of that in ${HERE}/storage.json: proxies would misread their state`);
  }
}

// What EAS-like `timestamp(bytes32)` and `multiTimestamp(bytes32[])` cost, from the prices of the protocol alone: each entry
// is one new slot, 22,100, and one event with three topics and no data, 375 and 375 a topic. Calldata: 4 gas a zero byte, 16
// another; EIP-7623's floor is 10 a token, a non-zero byte being four.
function timestampCost(entries) {
  const nonZero = 4 + 32 * entries + (entries > 1 ? 2 : 0);
  const zero = entries > 1 ? 62 : 0;
  const calldata = 16 * nonZero + 4 * zero;
  const floor = 10 * (4 * nonZero + zero);
  const execution = entries * (22_100 + 375 + 375 * 3);
  return 21_000 + Math.max(calldata + execution, floor);
}

// Markdown. A goal is of the implementation called directly.
function table() {
  const per = (name) => gas[name] ?? fail(`no figure ${name} in ${GAS}`);
  const rows = [
    ['whole transaction', 'goal', 'OtpVerifier', 'behind its proxy', 'one entry per code', 'EAS-like timestamp'],
    [':--', ...Array(5).fill('--:')],
    ['issue one code', 64_000, per('setOtp'), per('proxy setOtp'), per('plain set'), timestampCost(1)],
    ['issue 80, per code', 3_400, per('setOtps 80, per code'), per('proxy setOtps 80, per code'), per('plain set 80, per code'),
      Math.round(timestampCost(80) / 80)],
    ['verify, alone in its batch', 37_000, per('verify alone'), per('proxy verify alone'), per('plain verify'), ''],
    ['verify, first of 80', 41_500, per('verify first of 80'), per('proxy verify first of 80'), per('plain verify'), ''],
    ['verify, last of 80', 41_500, per('verify last of 80'), per('proxy verify last of 80'), per('plain verify'), ''],
    ['consume', '', per('consume'), '', '', ''],
    ['verifyAndConsume', '', per('verifyAndConsume'), '', '', ''],
    ['revoke one', '', per('revoke'), '', '', ''],
    ['revokeBatches, one batch of 80', '', per('revokeBatches 80'), '', '', ''],
    ['`OtpGated` in one step: a key changes', '', '', per('gated one step'), '', ''],
    ['`OtpGated` in two: `verify`', '', '', per('gated two steps, verify'), '', ''],
    ['`OtpGated` in two: the key changes', '', '', per('gated two steps, consume'), '', ''],
    ['a Safe pays, no guard', '', '', per('guard none, execute'), '', ''],
    ['a Safe pays within `OtpSafeGuard`\'s limit', '', '', per('guard execute within limit'), '', ''],
    ['a Safe pays what was approved', '', '', per('guard execute approved'), '', ''],
    ['`OtpSafeGuard.approve`', '', '', per('guard approve'), '', ''],
  ];
  const cells = (row) => row.map((cell) => (typeof cell === 'number' ? cell.toLocaleString('en-US') : cell));
  const widths = rows[0].map((_, i) => Math.max(...rows.map((row) => cells(row)[i].length)));
  const line = (row) => row.map((cell, i) => (i ? cell.padStart(widths[i]) : cell.padEnd(widths[i]))).join(' | ');
  return rows.map((row) => `| ${line(cells(row))} |`).join('\n');
}

function fail(message) {
  console.error(`snapshots: ${message}`);
  process.exit(1);
}
