#!/usr/bin/env node
// Writes ids.json and trees.json, which the Solidity and the Rust suite both read. Nothing here is shared with either:
// hashes are keccak256 over words put together by hand, trees are @openzeppelin/merkle-tree's.
//   node test-sol/vectors/generate.mjs            writes them
//   node test-sol/vectors/generate.mjs --check    writes nothing, ends with 1 when a committed file differs
import fs from 'node:fs';
import { createRequire } from 'node:module';

const require = createRequire(new URL('../../lib/package.json', import.meta.url));
const { keccak256: keccak } = require('ethereum-cryptography/keccak.js');
const { SimpleMerkleTree } = require('@openzeppelin/merkle-tree');

// --- words

const hex = (bytes) => '0x' + Buffer.from(bytes).toString('hex');
const bytesOf = (text) => Buffer.from(text.slice(2), 'hex');
const utf8 = (text) => Buffer.from(text, 'utf8');
const keccak256 = (...parts) => hex(keccak(Buffer.concat(parts)));

const uint = (value) => bytesOf('0x' + BigInt(value).toString(16).padStart(64, '0'));
const word = (bytes32) => exactly(bytesOf(bytes32), 32);
const address = (account) => Buffer.concat([Buffer.alloc(12), exactly(bytesOf(account), 20)]);
const leftAligned = (text) => hex(Buffer.concat([utf8(text), Buffer.alloc(32)]).subarray(0, 32));

function exactly(bytes, length) {
  if (bytes.length !== length) throw new Error(`${bytes.length} bytes where ${length} belong`);
  return bytes;
}

// --- the protocol

const actionOf = (consumer, payloadHash) => keccak256(address(consumer), word(payloadHash));
const codeHashOf = (code) => keccak256(utf8(code));
const leafOf = (purpose, serial, id) => keccak256(word(purpose), uint(serial), word(id));

function idOf({ chainId, verifier, issuer, purpose, serial, subject, action, codeHash }) {
  return keccak256(
    uint(chainId), address(verifier), address(issuer), word(purpose), uint(serial), address(subject), word(action),
    word(codeHash),
  );
}

// --- ids.json

const filler = (label) => keccak256(utf8(label));
const account = (label) => '0x' + filler(label).slice(-40);
const ZERO = '0x' + '0'.repeat(40);
const FULL = '0x' + 'f'.repeat(40);
const ZERO_WORD = '0x' + '0'.repeat(64);
const FULL_WORD = '0x' + 'f'.repeat(64);

const usual = (changes) => ({
  chainId: '31337',
  verifier: account('verifier'),
  issuer: account('issuer'),
  purpose: leftAligned('withdraw'),
  serial: '0',
  subject: account('subject'),
  action: filler('action'),
  code: '482913abcdefghijklmnopqrstuvwxyz',
  ...changes,
});

const idCases = [
  ['first serial', {}],
  ['sign-in', { purpose: leftAligned('login'), code: '000000aaaaaaaaaaaaaaaaaaaaaaaaaa' }],
  ['leading zeros', { serial: '1', code: '000042' + '234567'.repeat(5).slice(0, 26) }],
  ['mainnet', { chainId: '1', serial: '12345' }],
  ['largest chain id that fits 64 bits', { chainId: '18446744073709551615' }],
  ['largest serial', { serial: String(2n ** 40n - 1n) }],
  ['serial of five bytes', { serial: String(0x0102030405n) }],
  ['purpose of 32 bytes', { purpose: leftAligned('a purpose of thirty-two bytes is') }],
  ['purpose zero', { purpose: ZERO_WORD }],
  ['zero accounts', { verifier: ZERO, issuer: ZERO, subject: ZERO, action: ZERO_WORD }],
  ['accounts of ones', { verifier: FULL, issuer: FULL, subject: FULL, action: FULL_WORD }],
  ['leading zero bytes in the subject', { subject: '0x' + '0'.repeat(20) + account('x').slice(-20) }],
  ['empty code', { code: '' }],
  ['digits alone', { code: '482913' }],
  ['unicode code', { code: 'żółć 👩‍🚀 ٤٨٢٩١٣ \u0000 "\\ \n' }],
  ['long code', { code: '0123456789abcdef'.repeat(64) + '!' }],
  ['code of exactly one keccak block', { code: 'x'.repeat(136) }],
].map(([name, changes]) => {
  const fields = usual(changes);
  const codeHash = codeHashOf(fields.code);
  const id = idOf({ ...fields, codeHash });
  return { name, ...fields, codeHash, id, leaf: leafOf(fields.purpose, fields.serial, id) };
});

const actionCases = [
  ['a consumer', account('consumer'), filler('payload')],
  ['a sign-in has none', ZERO, filler('sign-in')],
  ['zeros', ZERO, ZERO_WORD],
  ['ones', FULL, FULL_WORD],
].map(([name, consumer, payloadHash]) => ({ name, consumer, payloadHash, action: actionOf(consumer, payloadHash) }));

// EIP-712: hashStruct(s) = keccak256(typeHash ‖ encodeData(s))
const WITHDRAWAL = 'Withdrawal(address to,uint256 amount,uint256 nonce)';
const SIGN_IN = 'SignIn(string origin,bytes32 session)';

const withdrawalCases = [
  [account('to'), '1000000000000000000', '0'],
  [account('to'), '0', '1'],
  [ZERO, '1', '18446744073709551616'],
  [FULL, String(2n ** 256n - 1n), String(2n ** 256n - 1n)],
].map(([to, amount, nonce]) => ({
  to, amount, nonce, hash: keccak256(word(keccak256(utf8(WITHDRAWAL))), address(to), uint(amount), uint(nonce)),
}));

const signInCases = [
  ['https://app.example.com', filler('session')],
  ['http://127.0.0.1:8080', ZERO_WORD],
  ['https://bücher.example', FULL_WORD],
  ['', filler('empty origin')],
].map(([origin, session]) => ({
  origin, session, hash: keccak256(word(keccak256(utf8(SIGN_IN))), word(keccak256(utf8(origin))), word(session)),
}));

const ids = {
  ids: idCases,
  actions: actionCases,
  withdrawal: { type: WITHDRAWAL, typeHash: keccak256(utf8(WITHDRAWAL)), cases: withdrawalCases },
  signIn: { type: SIGN_IN, typeHash: keccak256(utf8(SIGN_IN)), cases: signInCases },
};

// --- trees.json

const trees = {
  trees: [1, 2, 3, 4, 5, 7, 8, 16, 33, 79, 80].map((size, i) => {
    const purpose = leftAligned(i % 2 === 0 ? 'login' : 'withdraw');
    const first = i === 10 ? 2n ** 20n : BigInt(i * 100);
    const batch = Array.from({ length: size }, (_, place) => filler(`tree ${size} id ${place}`));
    const leaves = batch.map((id, place) => leafOf(purpose, first + BigInt(place), id));
    const tree = SimpleMerkleTree.of(leaves, { sortLeaves: false });
    tree.validate();
    const proofs = leaves.map((_, place) => tree.getProof(place));
    return { size, purpose, first: String(first), ids: batch, leaves, root: tree.root, proofs };
  }),
};

// --- writing

const check = process.argv[2] === '--check';
if (process.argv.length > (check ? 3 : 2)) {
  console.error('usage: generate.mjs [--check]');
  process.exit(1);
}
for (const [name, content] of Object.entries({ 'ids.json': ids, 'trees.json': trees })) {
  const file = new URL(name, import.meta.url);
  const text = JSON.stringify(content, null, 1) + '\n';
  if (!check) {
    fs.writeFileSync(file, text);
  } else if (!fs.existsSync(file) || fs.readFileSync(file, 'utf8') !== text) {
    console.error(`test-sol/vectors/${name} is not what generate.mjs makes; run it and commit`);
    process.exitCode = 1;
  }
}
