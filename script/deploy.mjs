#!/usr/bin/env node
// Deploys by Deploy.s.sol, and writes DEPLOY_OUT only when everything has landed and the chain itself says so.
//
//     DEPLOY_CONFIG=script/config/local.json DEPLOY_OUT=.stack/deployment.json \
//         node script/deploy.mjs --rpc-url URL (--private-key KEY | --account NAME | --ledger | ...)
//
// forge writes what a script writes before it sends anything, so a deployment that breaks off halfway leaves a result that
// was never true. Here that file is forge's own; the real one appears at the end. A deployment that fails says which step
// it was. Running it again starts clean: every contract is new, and what the broken one left behind is governed by the
// deployer alone and used by nobody.
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { forge } from './forge.mjs';

const LOST = 2; // deployed, and the result is not where it should be

process.chdir(path.join(path.dirname(fileURLToPath(import.meta.url)), '..'));
const args = process.argv.slice(2);
const rpcUrl = args[args.indexOf('--rpc-url') + 1];
const out = process.env.DEPLOY_OUT;
if (!args.includes('--rpc-url') || !out || !process.env.DEPLOY_CONFIG) {
  fail('usage: DEPLOY_CONFIG=file DEPLOY_OUT=file node script/deploy.mjs --rpc-url URL --private-key KEY');
}
if (existsSync(out)) fail(`${out} describes a deployment already; move it away to make another`);

// beside the result and renamed to it, so that it appears whole: a rename does not reach another file system
const beside = `${out}.${process.pid}`;
try {
  mkdirSync(path.dirname(out), { recursive: true });
  writeFileSync(beside, '');
  rmSync(beside);
} catch (error) {
  fail(`${out} could not be written, so nothing was sent: ${error.message}`);
}

const scratch = `.stack/deploy-${process.pid}`; // where forge lets a script write
const pending = `${scratch}/deployment.json`;
mkdirSync(scratch, { recursive: true });
const status = await deploy();
if (status !== LOST) rmSync(scratch, { recursive: true, force: true });
process.exit(status === 0 ? 0 : 1);

async function deploy() {
  // --slow: each step has landed before the next is sent, so none waits in a pool behind one that never came
  const sent = run(['script/Deploy.s.sol', ...args, '--broadcast', '--slow']);
  const steps = stepsOf();
  if (sent !== 0) return tell(steps, await landed(steps));
  const deployer = steps[0].transaction.from;
  const check = ['script/Deploy.s.sol', '--sig', 'check(address)', deployer, '--rpc-url', rpcUrl];
  if (run(check) !== 0) {
    console.error(`deploy: everything landed, and the chain does not say what it should: ${out} was not written`);
    return 1;
  }
  try {
    copyFileSync(pending, beside);
    renameSync(beside, out);
  } catch (error) {
    rmSync(beside, { force: true });
    console.error(`deploy: everything landed and is checked, but ${out} could not be written: ${error.message}`);
    console.error(`deploy: do not deploy again; what stands where is in ${path.resolve(pending)}`);
    return LOST;
  }
  console.log(`deploy: ${steps.length} steps landed and checked; ${out} says what stands where`);
  return 0;
}

function run(rest) {
  const env = { ...process.env, DEPLOY_OUT: pending, FOUNDRY_BROADCAST: `${scratch}/broadcast` };
  return spawnSync(forge, ['script', ...rest], { env, stdio: 'inherit' }).status ?? 1;
}

// What forge meant to send, in order; empty when it sent nothing.
function stepsOf() {
  const folder = `${scratch}/broadcast/Deploy.s.sol`;
  const chain = existsSync(folder) ? readdirSync(folder)[0] : undefined;
  const file = `${folder}/${chain}/run-latest.json`;
  return chain && existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')).transactions : [];
}

// Per step: true landed, false reverted, null not on the chain, undefined when the node cannot be asked.
async function landed(steps) {
  const answers = [];
  for (const step of steps) {
    try {
      const receipt = step.hash ? await ask('eth_getTransactionReceipt', [step.hash]) : null;
      answers.push(receipt && receipt.status === '0x1');
    } catch {
      answers.push(undefined);
    }
  }
  return answers;
}

async function ask(method, params) {
  const response = await fetch(rpcUrl, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
    signal: AbortSignal.timeout(10_000),
  });
  const body = await response.json();
  if (body.error) throw new Error(body.error.message);
  return body.result;
}

function tell(steps, answers) {
  if (steps.length === 0) {
    console.error('deploy: failed before anything was sent (the reason is above); run it again when it is mended');
    return 1;
  }
  const broken = answers.findIndex((answer) => answer !== true);
  const at = broken < 0 ? steps.length - 1 : broken;
  const how = { true: 'landed', false: 'reverted', null: 'is not on the chain', undefined: 'cannot be asked about' };
  console.error(`deploy: FAILED at step ${at + 1} of ${steps.length}, ${name(steps[at])}: it ${how[answers[at]]}`);
  console.error(`deploy: ${answers.filter((answer) => answer === true).length} steps landed; ${out} was not written`);
  console.error('deploy: run it again: it starts clean. What landed is governed by the deployer alone: use none of it');
  return 1;
}

function name(step) {
  const contract = step.contractName ?? step.contractAddress;
  return step.function ? `${step.function} of ${contract}` : `the creation of ${contract}`;
}

function fail(message) {
  console.error(`deploy: ${message}`);
  process.exit(2);
}
