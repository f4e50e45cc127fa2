#!/usr/bin/env node
// The figures that a review has to see when they change, as files below test-sol/snapshots: byte-code sizes, storage
// layout and ABI of what is deployed (out of forge's artifacts; run `forge build` first), and the gas of whole
// transactions (which test-sol/Gas.t.sol writes to target/gas; run it first). With --check nothing is written and a
// difference fails. `--table` prints the gas table.
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
  table();
} else {
  snapshot('gas.json', gas);
  snapshot('size.json', { OtpVerifier: { runtime: size('deployedBytecode'), creation: size('bytecode'), limit: 24576 } });
  snapshot('abi.json', signatures());
  snapshot('storage.json', layout());
}

function readdirGas() {
  const names = existsSync(GAS) ? readdirSync(GAS).filter((name) => name.endsWith('.json')).sort() : [];
  if (names.length === 0) fail(`nothing in ${GAS}; run forge test --match-path test-sol/Gas.t.sol first`);
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
// structs are read from the source, each member in its order.
function layout() {
  const forge = process.env.FORGE ?? 'forge';
  const run = spawnSync(forge, ['inspect', 'src-sol/OtpVerifier.sol:OtpVerifier', 'storageLayout', '--json'], { encoding: 'utf8' });
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
  const text = `${JSON.stringify(value, null, 2)}\n`;
  if (mode !== '--check') {
    mkdirSync(HERE, { recursive: true });
    writeFileSync(path, text);
    console.log(`wrote ${path}`);
    return;
  }
  const old = existsSync(path) ? readFileSync(path, 'utf8') : '';
  if (old === text) return;
  const [before, after] = [old.split('\n'), text.split('\n')];
  console.error(`${path} differs; if that is meant, run make gas and commit it`);
  for (const line of before.filter((each) => !after.includes(each))) console.error(`  - ${line}`);
  for (const line of after.filter((each) => !before.includes(each))) console.error(`  + ${line}`);
  process.exitCode = 1;
}

// What EAS-like `timestamp(bytes32)` costs, from the prices of the protocol alone: the entry is one new slot, one event
// with three topics and no data. Calldata: 4 gas a zero byte, 16 another; EIP-7623's floor is 10 a token, a non-zero
// byte being four.
function timestampCost(entries) {
  const nonZero = 4 + 32 * entries + (entries > 1 ? 2 : 0);
  const zero = entries > 1 ? 62 : 0;
  const calldata = 16 * nonZero + 4 * zero;
  const floor = 10 * (4 * nonZero + zero);
  const execution = entries * (22_100 + 375 * 4);
  return 21_000 + Math.max(calldata + execution, floor);
}

function table() {
  const per = (name) => gas[name] ?? fail(`no figure ${name} in ${GAS}`);
  const rows = [
    ['', 'OtpVerifier', 'behind its proxy', 'one entry per code', 'timestamp (formula)', 'goal'],
    ['set 1', per('setOtp'), per('proxy setOtp'), per('plain set'), timestampCost(1), '<= 64000'],
    ['set 80, per code', per('setOtps 80, per code'), per('proxy setOtps 80, per code'), '', Math.round(timestampCost(80) / 80), '<= 3400'],
    ['verify, alone', per('verify alone'), per('proxy verify alone'), per('plain verify'), '', '<= 37000'],
    ['verify, first of 80', per('verify first of 80'), per('proxy verify first of 80'), '', '', '<= 41500'],
    ['verify, last of 80', per('verify last of 80'), '', '', '', '<= 41500'],
    ['consume', per('consume'), '', '', '', ''],
    ['verifyAndConsume', per('verifyAndConsume'), '', '', '', ''],
    ['revoke', per('revoke'), '', '', '', ''],
    ['revokeBatches, 80', per('revokeBatches 80'), '', '', '', ''],
  ];
  for (const row of rows) console.log(row.map((cell, i) => (i ? String(cell).padStart(20) : String(cell).padEnd(20))).join(' '));
  console.log('\nGas of whole transactions: 21,000, calldata and cold slots included, refunds taken off.');
}

function fail(message) {
  console.error(`snapshots: ${message}`);
  process.exit(1);
}
