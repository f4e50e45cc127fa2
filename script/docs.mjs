#!/usr/bin/env node
// Holds the documents to what they describe. With --check (the default and only way) it fails when
// - docs/ERRORS.md lacks an error of an ABI or has one that is in none;
// - a Solidity block of docs/INTEGRATE.md is not, word for word, what test-sol/docs/Integrate.t.sol compiles and runs;
// - docs/THREAT-MODEL.md names a test that does not exist, or a row of its chain side names none.
// Run `forge build` first; FOUNDRY_OUT names another folder than out.
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

process.chdir(path.join(path.dirname(fileURLToPath(import.meta.url)), '..'));
const args = process.argv.slice(2);
if (args.length > 1 || (args.length === 1 && args[0] !== '--check')) {
  console.error('usage: script/docs.mjs [--check]');
  process.exit(2);
}
const faults = [...errors(), ...snippets(), ...threats()];
for (const fault of faults) console.error(`docs: ${fault}`);
process.exit(faults.length ? 1 : 0);

// --- docs/ERRORS.md: `## Contract` sections, one row an error: | `Name(type value, ...)` | why | what to do |

function errors() {
  const found = [];
  const out = process.env.FOUNDRY_OUT ?? 'out';
  for (const section of read('docs/ERRORS.md').split(/^## /m).slice(1)) {
    const name = section.match(/^`(\w+)`/)?.[1];
    if (!name) continue;
    const { abi } = JSON.parse(read(`${out}/${name}.sol/${name}.json`));
    const wanted = new Set(abi.filter(({ type }) => type === 'error').map(signature));
    const rows = section.split('\n').filter((line) => line.startsWith('| `'));
    const written = new Set();
    for (const row of rows) {
      const [, error, why, todo] = row.split('|').map((cell) => cell.trim());
      const text = error.replaceAll('`', '');
      if (written.has(text)) found.push(`ERRORS.md has ${text} of ${name} twice`);
      if (!why || !todo) found.push(`ERRORS.md does not say why or what to do about ${text} of ${name}`);
      written.add(text);
    }
    for (const text of wanted) if (!written.has(text)) found.push(`ERRORS.md lacks ${text} of ${name}`);
    for (const text of written) if (!wanted.has(text)) found.push(`ERRORS.md has ${text}, which ${name} does not`);
  }
  for (const name of ['OtpVerifier', 'OtpSafeGuard', 'GatedVault', 'GatedRoles']) {
    if (!read('docs/ERRORS.md').includes(`\n## \`${name}\``)) found.push(`ERRORS.md has no section on ${name}`);
  }
  return found;
}

function signature({ name, inputs }) {
  const type = (input) => (input.type.startsWith('tuple') ? input.internalType.split('.').pop() : input.type);
  return `${name}(${inputs.map((input) => `${type(input)} ${input.name}`).join(', ')})`;
}

// --- docs/INTEGRATE.md

function snippets() {
  const found = [];
  const tested = new Map();
  const source = read('test-sol/docs/Integrate.t.sol');
  for (const [, name, text] of source.matchAll(/\/\/ \[([\w-]+)\]\n([\s\S]*?)\n *\/\/ \[\/\1\]/g)) {
    const lines = text.split('\n');
    const indent = Math.min(...lines.filter(Boolean).map((line) => line.match(/^ */)[0].length));
    tested.set(lines.map((line) => line.slice(indent)).join('\n'), name);
  }
  const shown = new Set();
  for (const [, text] of read('docs/INTEGRATE.md').matchAll(/```solidity\n([\s\S]*?)\n```/g)) {
    const name = tested.get(text);
    if (name) shown.add(name);
    else found.push(`INTEGRATE.md has a block that no test compiles: ${text.split('\n')[0]}`);
  }
  for (const name of tested.values()) if (!shown.has(name)) found.push(`INTEGRATE.md does not show [${name}]`);
  if (tested.size === 0) found.push('no snippet is marked in the test of INTEGRATE.md');
  return found;
}

// --- docs/THREAT-MODEL.md: the chain side's rows end with tests, each `file: test_Name`; file is a unique *.t.sol

function threats() {
  const found = [];
  const files = new Map();
  for (const file of walk('test-sol')) files.set(path.basename(file, '.t.sol'), file);
  const chain = read('docs/THREAT-MODEL.md').split(/^## /m).find((section) => section.startsWith('On the chain'));
  if (!chain) return ['THREAT-MODEL.md has no section "On the chain"'];
  const rows = chain.split('\n').filter((line) => /^\| (?!---|can|tries)/.test(line));
  if (rows.length === 0) found.push('THREAT-MODEL.md says nothing about the chain side');
  for (const row of rows) {
    const tests = [...row.matchAll(/`(\w+): (test\w+)`/g)];
    if (tests.length === 0) found.push(`THREAT-MODEL.md names no test: ${row.slice(0, 80)}`);
    for (const [, file, name] of tests) {
      const there = files.has(file) && new RegExp(`function ${name}\\(`).test(read(files.get(file)));
      if (!there) found.push(`THREAT-MODEL.md names ${file}: ${name}, which does not exist`);
    }
  }
  return found;
}

function walk(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const file = path.join(folder, entry.name);
    return entry.isDirectory() ? walk(file) : file.endsWith('.t.sol') ? [file] : [];
  });
}

function read(file) {
  return readFileSync(file, 'utf8');
}
