// The governance scripts, from the command line against a real node.
// Run: node --test test-sol/chain/     (forge must have built: it is asked for byte code)
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { ask, deploy, deployer, forge, owners, scratchFolder, sendAs, startAnvil } from './anvil.mjs';
import { checksumOf, hash, selector } from './transactionBuilder.mjs';

const { folder, remove } = scratchFolder('governance-test');
const out = path.join(folder, 'deployment.json');
const BATCH_SET = hash('OtpBatchSet(bytes32,address,bytes32,uint256,uint256,uint64)');
let anvil;
let deployment;

before(async () => {
  anvil = await startAnvil();
  const { code, output } = await deploy(anvil.url, { DEPLOY_OUT: out });
  assert.equal(code, 0, output);
  deployment = JSON.parse(readFileSync(out, 'utf8'));
});

after(() => {
  anvil?.stop();
  remove();
});

const script = (name, signature, args, env, rest = []) =>
  forge(
    ['script', `script/governance/${name}.s.sol`, ...(signature ? ['--sig', signature, ...args] : []), '--rpc-url', anvil.url, ...rest],
    { DEPLOY_OUT: out, FOUNDRY_BROADCAST: path.join(folder, 'broadcast'), ...env },
  );
// with two owners' keys, on this local chain
const act = (name, signature, ...args) => script(name, signature, args, { OWNER_KEYS: owners.join(',') }, ['--broadcast']);
const call = (to, data) => ask(anvil.url, 'eth_call', [{ to, data }, 'latest']);
const isPaused = async () => BigInt(await call(deployment.verifier, selector('paused()'))) === 1n;
const word = (value) => value.replace('0x', '').toLowerCase().padStart(64, '0');

async function passes(answer) {
  const { code, output } = await answer;
  assert.equal(code, 0, output);
  return output;
}

async function fails(answer, words) {
  const { code, output } = await answer;
  assert.notEqual(code, 0, output);
  assert.match(output, words);
}

async function delay() {
  await ask(anvil.url, 'evm_increaseTime', [11]);
  await ask(anvil.url, 'evm_mine', []);
}

async function implementation() {
  const slot = '0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc';
  return `0x${(await ask(anvil.url, 'eth_getStorageAt', [deployment.verifier, slot, 'latest'])).slice(-40)}`;
}

test('a script prints and writes what the owners sign, as the Transaction Builder takes it, and sends nothing', async () => {
  const folderOut = path.join(folder, 'governance');
  const env = { GOVERNANCE_OUT: folderOut };
  await passes(script('Pause', null, [], env));
  await passes(script('SetPolicy', 'run(string,uint32,uint16,uint8,bool)', ['withdraw', '90', '300', '3', 'true'], env));
  assert.deepEqual(readdirSync(folderOut), ['pause.json', 'set-policy-withdraw-execute.json', 'set-policy-withdraw-schedule.json']);
  for (const name of readdirSync(folderOut)) {
    const file = JSON.parse(readFileSync(path.join(folderOut, name), 'utf8'));
    assert.equal(file.version, '1.0');
    assert.equal(file.chainId, '31337');
    assert.equal(file.meta.createdFromSafeAddress, deployment.safe);
    assert.equal(file.meta.checksum, checksumOf(file), name);
    // any change shows
    assert.notEqual(file.meta.checksum, checksumOf({ ...file, chainId: '1' }));
    assert.notEqual(file.meta.checksum, checksumOf({ ...file, transactions: [{ ...file.transactions[0], value: '1' }] }));
  }
  const pause = JSON.parse(readFileSync(path.join(folderOut, 'pause.json'), 'utf8'));
  assert.deepEqual(pause.transactions.map(({ to, value, data }) => ({ to, value, data })), [
    { to: deployment.verifier, value: '0', data: selector('pause()') },
  ]);
  assert.equal(await isPaused(), false);
});

test('text that would break out of a file is refused', async () => {
  const run = script('SetPolicy', 'run(string,uint32,uint16,uint8,bool)', ['a","to":"b', '90', '300', '3', 'true'], {});
  await fails(run, /UnfitText/);
});

test("with the owners' keys it executes on a local chain: pause, and unpause after the delay", async () => {
  await fails(script('Pause', null, [], { OWNER_KEYS: owners[0] }, ['--broadcast']), /GS020/); // one signature of three
  assert.equal(await isPaused(), false);
  await passes(act('Pause'));
  assert.equal(await isPaused(), true);

  await passes(act('Unpause'));
  assert.equal(await isPaused(), true);
  await fails(act('Unpause'), /NotYet/);
  await delay();
  await passes(act('Unpause'));
  assert.equal(await isPaused(), false);
});

test('an upgrade is rehearsed, waits, and is rolled back', async () => {
  const first = await implementation();
  const output = await passes(script('Upgrade', 'deploy()', [], {}, ['--private-key', deployer, '--broadcast']));
  const next = output.match(/implementation: address (0x[0-9a-fA-F]{40})/)[1];
  for (const [name, args, expected] of [['Upgrade', ['run(address)', next], next.toLowerCase()], ['RollBack', ['run()'], first]]) {
    await passes(act(name, ...args));
    assert.notEqual(await implementation(), expected, 'the delay holds');
    await delay();
    await passes(act(name, ...args));
    assert.equal(await implementation(), expected);
  }
});

test('it is rolled back to nothing that never stood here, and to what did', async () => {
  const deployed = await passes(script('Upgrade', 'deploy()', [], {}, ['--private-key', deployer, '--broadcast']));
  const never = deployed.match(/implementation: address (0x[0-9a-fA-F]{40})/)[1];
  await fails(script('RollBack', 'run(address)', [never], {}), /implementation that the verifier never had/);
  const [, log] = await ask(anvil.url, 'eth_getLogs', [
    { address: deployment.verifier, fromBlock: '0x0', topics: [hash('Upgraded(address)')] },
  ]);
  const once = `0x${log.topics[1].slice(-40)}`;
  assert.match(await passes(script('RollBack', 'run(address)', [once], {})), /roll-back-schedule/);
});

test('who never was an issuer is refused, and a narrow range of blocks does not make one so', async () => {
  const nobody = '0x00000000000000000000000000000000000000aa';
  for (const env of [{}, { FROM_BLOCK: '1' }]) {
    await fails(script('RevokeBatches', 'run(address)', [nobody], env), /never issued and holds no role/);
  }
  await fails(script('RotateIssuer', 'remove(address)', [nobody], {}), /never issued and holds no role/);
  // the standby, which issued nothing, once its role is taken
  const snapshot = await ask(anvil.url, 'evm_snapshot', []);
  const [, standby] = deployment.issuers;
  await sendAs(anvil.url, deployment.guardian, deployment.verifier, `${selector('removeIssuer(address)')}${word(standby)}`);
  const head = String(BigInt(await ask(anvil.url, 'eth_blockNumber', [])));
  assert.match(await passes(script('RevokeBatches', 'run(address)', [standby], { FROM_BLOCK: head })), /pause/);
  assert.equal(await ask(anvil.url, 'evm_revert', [snapshot]), true);
});

test('a stolen issuer key: its live batches are found in the logs, and end with it in one run', async () => {
  const [issuer] = deployment.issuers;
  const id = '0x'.padEnd(66, '7');
  const purpose = Buffer.from('login').toString('hex').padEnd(64, '0');
  const setOtp = `${selector('setOtp(bytes32,uint40,bytes32,uint64)')}${purpose}${word('0x0')}${word(id)}${word('0xffffffffff')}`;
  await sendAs(anvil.url, issuer, deployment.verifier, setOtp);
  const [log] = await ask(anvil.url, 'eth_getLogs', [
    { address: deployment.verifier, fromBlock: '0x0', topics: [BATCH_SET] },
  ]);
  const states = async () => {
    const answer = await call(deployment.verifier, `${selector('batchOf(address,bytes32)')}${word(issuer)}${word(log.topics[1])}`);
    return BigInt(`0x${answer.slice(-64)}`);
  };
  assert.equal(await states(), 0n);

  const output = await passes(act('RevokeBatches', 'run(address)', issuer));
  assert.match(output, /revoke-batches-1/);
  assert.equal(await isPaused(), true);
  assert.equal(await states(), 2n ** 160n - 1n, 'every place is revoked');
  await fails(act('RevokeBatches', 'run(address)', issuer), /NothingToDo/);
});
