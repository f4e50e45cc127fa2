#!/usr/bin/env node
// Compares what stands at an address with this repository's build and the network's file, by CheckDeployment.s.sol, and says
// in words what is as it should be and what differs.
//
//     DEPLOY_CONFIG=script/config/local.json node script/check.mjs --rpc-url URL VERIFIER
//
// Ends with 0 when nothing differs, with 1 when something does, and with 2 when it could not be found out. FROM_BLOCK: from
// where logs are read, 0 by default; the deployment's block on a node that limits the range.
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { forge } from './forge.mjs';

process.chdir(path.join(path.dirname(fileURLToPath(import.meta.url)), '..'));
const [flag, rpcUrl, verifier, ...rest] = process.argv.slice(2);
if (flag !== '--rpc-url' || !/^0x[0-9a-fA-F]{40}$/.test(verifier ?? '') || rest.length > 0 || !process.env.DEPLOY_CONFIG) {
  console.error('usage: DEPLOY_CONFIG=file [FROM_BLOCK=n] node script/check.mjs --rpc-url URL VERIFIER');
  process.exit(2);
}
const args = ['script', 'script/CheckDeployment.s.sol', '--sig', 'run(address)', verifier, '--rpc-url', rpcUrl];
const run = spawnSync(forge, args, { encoding: 'utf8', maxBuffer: 2 ** 28 });
const output = `${run.stdout ?? ''}${run.stderr ?? run.error.message}`;
// forge puts the trace of a script that reverts before what the script says
const words = [...output.matchAll(/^ {2}((?:ok|DIFFERS): .*)$/gm)].map(([, line]) => line);
const differences = words.filter((line) => line.startsWith('DIFFERS')).length;
for (const line of words) console.log(line);

// It is as good as its end: without the script's last word, or with a number of differences that is not ours, it broke off.
const ended = run.status === 0 ? output.includes('nothing differs') : output.includes(`Differs(${differences})`);
if (!ended || (run.status === 0) !== (differences === 0)) {
  console.error(`check: could not be finished\n${output}`);
  process.exit(2);
}
console.log(differences === 0 ? 'nothing differs' : `${differences} differences`);
process.exit(differences === 0 ? 0 : 1);
