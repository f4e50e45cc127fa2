#!/usr/bin/env node
// slither over src-sol. Each exception has its reason beside it; a finding without one fails, and so does an exception
// that no finding needs any more. FORGE names the native forge, SLITHER another slither than that of target/tools/python.
import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

// [detector, file, reason]
const EXCEPTIONS = [
  ['timestamp', 'src-sol/OtpVerifier.sol', 'expiry is what it is for; semgrep.yml allows no other use'],
  ['timestamp', 'src-sol/OtpSafeGuard.sol', 'expiry is what it is for; semgrep.yml allows no other use'],
  ['naming-convention', 'src-sol/interfaces/IOtpVerifier.sol', 'role constants are named as OpenZeppelin names them'],
  ['naming-convention', 'src-sol/OtpGated.sol', 'immutables are named as constants are, which solhint asks for'],
  ['naming-convention', 'src-sol/OtpSafeGuard.sol', 'immutables are named as constants are, which solhint asks for'],
  ['unused-return', 'src-sol/OtpSafeGuard.sol', 'whether there is any module is asked; where the next page begins is not'],
  ['shadowing-local', 'src-sol/interfaces/ISafe.sol', "the Safe's own parameter name, in a declaration without code"],
  ['arbitrary-send-eth', 'src-sol/examples/GatedVault.sol', 'a withdrawal goes where its code says, out of the own balance'],
  ['low-level-calls', 'src-sol/examples/GatedVault.sol', 'ether is paid by call, since transfer has too little gas; the result is checked'],
  ['reentrancy-events', 'src-sol/examples/GatedVault.sol', 'the verifier calls nobody; balance and nonce moved before'],
  ['reentrancy-events', 'src-sol/examples/GatedKeys.sol', 'the verifier calls nobody'],
  ['reentrancy-benign', 'src-sol/examples/GatedKeys.sol', 'the verifier calls nobody, and the nonce moved before'],
];

process.chdir(new URL('../..', import.meta.url).pathname);
const forge = resolve(process.env.FORGE ?? fail('FORGE: the native forge'));
// One build of each file, so not the profile in which the verifier is compiled in its own way.
const env = {
  ...process.env,
  PATH: `${dirname(forge)}:${process.env.PATH}`,
  FOUNDRY_PROFILE: 'coverage',
  FOUNDRY_OUT: 'target/slither/out',
  FOUNDRY_CACHE_PATH: 'target/slither/cache',
};
rmSync('target/slither', { recursive: true, force: true });
const build = ['build', '--build-info', '--skip', '*/test-sol/**', '--skip', '*/script/**', '--quiet'];
if (spawnSync(forge, build, { env, stdio: 'inherit' }).status !== 0) fail('forge build failed');
const report = 'target/slither/report.json';
const slither = process.env.SLITHER ?? 'target/tools/python/bin/slither';
const run = spawnSync(slither, ['.', '--ignore-compile', '--foundry-out-directory', env.FOUNDRY_OUT, '--filter-paths',
  '(^|/)lib/', '--json', report], { env, encoding: 'utf8' });
let result;
try {
  result = JSON.parse(readFileSync(report, 'utf8'));
} catch {
  fail(`${slither} gave no report\n${run.error?.message ?? run.stderr}`);
}
if (!result.success) fail(result.error);

const used = new Set();
const faults = [];
const findings = result.results.detectors ?? [];
for (const { check, description, elements } of findings) {
  const file = elements[0]?.source_mapping.filename_relative;
  const at = EXCEPTIONS.findIndex(([detector, path]) => detector === check && path === file);
  if (at === -1) faults.push(`${check}: ${description.trim()}`);
  else used.add(at);
}
EXCEPTIONS.forEach(([detector, path], at) => {
  if (!used.has(at)) faults.push(`no finding needs the exception ${detector} in ${path} any more`);
});
for (const fault of faults) console.error(`slither: ${fault}`);
if (faults.length === 0) console.log(`slither: ${findings.length} findings, each with its reason`);
process.exit(faults.length === 0 ? 0 : 1);

function fail(message) {
  console.error(`slither: ${message}`);
  process.exit(1);
}
