#!/usr/bin/env node
// Holds the documents to what they describe. With --check (the default and only way) it fails when
// - docs/ERRORS.md lacks an error of an ABI or has one that is in none;
// - a Solidity block of docs/INTEGRATE.md is not, word for word, what test-sol/docs/Integrate.t.sol compiles and runs;
// - docs/THREAT-MODEL.md names a test, of Solidity or Rust, that does not exist, or a row that says what shows it names none;
// - docs/RUNBOOK.md does so, or a section names none, or lacks a part;
// - a link of a document leads to no file.
// Run `forge build` first; FOUNDRY_OUT names another folder than out.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

process.chdir(path.join(path.dirname(fileURLToPath(import.meta.url)), '..'));
const args = process.argv.slice(2);
if (args.length > 1 || (args.length === 1 && args[0] !== '--check')) {
  console.error('usage: script/docs.mjs [--check]');
  process.exit(2);
}
const faults = [...errors(), ...snippets(), ...threats(), ...troubles(), ...links()];
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
  for (const name of ['OtpVerifier', 'OtpSafeGuard', 'GatedVault', 'GatedKeys', 'GatedRoles']) {
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

// --- docs/THREAT-MODEL.md: in a table with a column "shown by" each row names tests. Solidity: `file: test_Name`, with the
// name of a *.t.sol; Rust: `path::to::test_name`, whose parts before the name are folders, files or modules, as many as one
// likes: `relayer::unlock::name` and `relayer/tests/api/unlock.rs::name` alike.

function threats() {
  const found = [];
  const text = read('docs/THREAT-MODEL.md');
  const rows = text.split('\n\n').flatMap((block) => {
    const [head, , ...rest] = block.split('\n').filter((line) => line.startsWith('|'));
    return head?.includes('| shown by |') ? rest : [];
  });
  if (!rows.length) found.push('THREAT-MODEL.md says of nothing what shows it');
  for (const row of rows) found.push(...shown('THREAT-MODEL.md', row, row.slice(0, 80)));
  return found;
}

// What is wrong with the tests that a part of a document names.
function shown(document, text, where) {
  const solidity = [...text.matchAll(/`(\w+): (test\w+)`/g)];
  const rust = [...text.matchAll(/`([\w/.:-]+)::(\w+)`/g)];
  if (solidity.length + rust.length === 0) return [`${document} names no test: ${where}`];
  const missing = [
    ...solidity.filter(([, file, name]) => !solidityTest(file, name)),
    ...rust.filter(([, where, name]) => !rustTest(where, name)),
  ];
  return missing.map(([mention]) => `${document} names ${mention}, which does not exist`);
}

// --- docs/RUNBOOK.md: each section has its five parts, the last of which names the tests that try it.

function troubles() {
  const sections = read('docs/RUNBOOK.md').split(/^## /m).slice(1);
  if (!sections.length) return ['RUNBOOK.md has no sections'];
  return sections.flatMap((section) => {
    const name = section.split('\n')[0];
    const parts = ['**Shows.**', '**By itself.**', '**Do.**', '**Over when**', '**Tried by**'];
    const missing = parts.filter((part) => !section.includes(part)).map((part) => `RUNBOOK.md: ${name} lacks ${part}`);
    return [...missing, ...shown('RUNBOOK.md', section.split('**Tried by**')[1] ?? '', name)];
  });
}

function solidityTest(name, test) {
  const files = walk('test-sol', '.t.sol').filter((file) => path.basename(file, '.t.sol') === name);
  return files.some((file) => new RegExp(`function ${test}\\(`).test(read(file)));
}

function rustTest(where, test) {
  const parts = where.split(/::|[/.]/).filter((part) => part !== 'rs');
  const attributed = new RegExp(`#\\[(tokio::)?test[^\\]]*\\]\\s*(#\\[[^\\]]*\\]\\s*)*(async )?fn ${test}\\(`);
  return ['core', 'relayer', 'indexer', 'testbed'].flatMap((folder) => walk(folder, '.rs')).some((file) => {
    const source = read(file);
    const places = file.replace(/\.rs$/, '').split('/');
    return attributed.test(source) && parts.every((part) => places.includes(part) || new RegExp(`mod ${part} {`).test(source));
  });
}

// --- links

function links() {
  const documents = ['README.md', ...['docs', 'script', 'test-sol'].flatMap((folder) => walk(folder, '.md'))];
  const prose = (file) => read(file).replace(/```[^]*?```/g, '');
  return documents.flatMap((file) => {
    const targets = [...prose(file).matchAll(/\]\(([^)#:]+)(#[^)]*)?\)/g)].map(([, target]) => target);
    const missing = targets.filter((target) => !existsSync(path.join(path.dirname(file), target)));
    return missing.map((target) => `${file} links to ${target}, which is not there`);
  });
}

function walk(folder, end) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const file = path.join(folder, entry.name);
    if (entry.isDirectory()) return entry.name === 'node_modules' || entry.name === '.venv' ? [] : walk(file, end);
    return file.endsWith(end) ? [file] : [];
  });
}

function read(file) {
  return readFileSync(file, 'utf8');
}
