#!/usr/bin/env node
// solhint over src-sol and script, by solhint.config.js. Beside its findings these fail:
// - a rule that is off, or a `disable` comment of solhint or forge lint, without a reason beside it;
// - a rule that is off although nothing would be found with it on;
// - a linter that finds nothing in a sample where there is something to find.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

process.chdir(new URL('../..', import.meta.url).pathname);
const CONFIG = 'solhint.config.js';
const FILES = ['src-sol/**/*.sol', 'script/**/*.sol'];
const config = createRequire(import.meta.url)(path.resolve(CONFIG));
const off = Object.keys(config.rules).filter((rule) => config.rules[rule] === 'off');
const faults = [];
const scratch = 'target/style'; // solhint takes no file from outside of here
mkdirSync(scratch, { recursive: true });

try {
  for (const { filePath, line, message, ruleId } of solhint(CONFIG, FILES)) faults.push(`${filePath}:${line}: ${message} (${ruleId})`);
  reasonsOfRules();
  for (const file of ['src-sol', 'script'].flatMap(contracts)) reasonsInFile(file);
  neededRules();
  sample();
} finally {
  rmSync(scratch, { recursive: true });
}
for (const fault of faults) console.error(`style: ${fault}`);
if (faults.length === 0) console.log(`style: nothing found; ${off.length} rules are off, each with its reason`);
process.exit(faults.length === 0 ? 0 : 1);

function solhint(configFile, files) {
  const args = ['lib/node_modules/solhint/solhint.js', '--disc', '--noPoster', '--config', configFile, '--formatter', 'json', ...files];
  const run = spawnSync(process.execPath, args, { encoding: 'utf8', maxBuffer: 2 ** 28 });
  if (run.stderr || (run.status !== 0 && !run.stdout)) throw new Error(`solhint failed: ${run.stderr}`);
  return JSON.parse(run.stdout || '[]').filter(({ ruleId }) => ruleId);
}

function reasonsOfRules() {
  const lines = readFileSync(CONFIG, 'utf8').split('\n');
  lines.forEach((line, i) => {
    if (/: 'off',/.test(line) && !/^ *\/\/ \S/.test(lines[i - 1])) faults.push(`${CONFIG}:${i + 1}: no reason above ${line.trim()}`);
  });
}

// In words on the same line, as a comment on the line after, or as one a few lines before, which may speak for several.
function reasonsInFile(file) {
  const lines = readFileSync(file, 'utf8').split('\n');
  const isReason = (line) => /(?<!\/)\/\/ (?!solhint-|forge-lint)\S|\/\/\/ (@dev|[^@])/.test(line ?? '');
  lines.forEach((line, i) => {
    if (!/(solhint|forge-lint)[-:] ?disable/.test(line)) return;
    const after = `${line.replace(/\/\/ (solhint|forge-lint).*/, '')}${lines[i + 1]}`;
    if (![...lines.slice(Math.max(i - 8, 0), i), after].some(isReason)) {
      faults.push(`${file}:${i + 1}: no reason beside ${line.trim()}`);
    }
  });
}

function neededRules() {
  const rules = { ...config.rules };
  for (const rule of off) delete rules[rule];
  const file = path.join(scratch, 'all.json');
  writeFileSync(file, JSON.stringify({ extends: config.extends, rules }));
  const found = new Set(solhint(file, FILES).map(({ ruleId }) => ruleId));
  for (const rule of off) if (!found.has(rule)) faults.push(`${CONFIG}: nothing needs ${rule} to be off any more`);
}

function sample() {
  const file = path.join(scratch, 'Sample.sol');
  writeFileSync(file, 'pragma solidity ^0.8.0;\ncontract sample { function f() public { tx.origin; } }\n');
  const found = new Set(solhint(CONFIG, [file]).map(({ ruleId }) => ruleId));
  for (const rule of ['compiler-version', 'contract-name-capwords', 'avoid-tx-origin']) {
    if (!found.has(rule)) faults.push(`solhint does not find ${rule} in the sample`);
  }
}

function contracts(folder) {
  return readdirSync(folder, { recursive: true }).filter((name) => name.endsWith('.sol')).map((name) => path.join(folder, name));
}
