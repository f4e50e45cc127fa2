// Deployment, its check, and governance, from the command line against a real node.
// Run: node --test test-sol/chain/     (forge must have built: it is asked for byte code)
import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { ask, deploy, forge, owners, scratchFolder, startAnvil, startProxy, strangerAddress } from './anvil.mjs';

const { folder, remove } = scratchFolder('chain-test');
const out = path.join(folder, 'deployment.json');
let anvil;
let deployment;

before(async () => {
  anvil = await startAnvil();
});

after(() => {
  anvil?.stop();
  remove();
});

const script = (name, signature, args, env) =>
  forge(['script', `script/governance/${name}.s.sol`, ...(signature ? ['--sig', signature, ...args] : []), '--rpc-url', anvil.url], {
    DEPLOY_OUT: out,
    ...env,
  });
const check = () =>
  forge(['script', 'script/CheckDeployment.s.sol', '--sig', 'run(address)', deployment.verifier, '--rpc-url', anvil.url], {
    DEPLOY_CONFIG: 'script/config/local.json',
  });
const call = (to, selector) => ask(anvil.url, 'eth_call', [{ to, data: selector }, 'latest']);
const PAUSED = '0x5c975abb';
const isPaused = async () => BigInt(await call(deployment.verifier, PAUSED)) === 1n;

// Changes the chain as no script would, and takes it back.
async function planted(change, expected) {
  const snapshot = await ask(anvil.url, 'evm_snapshot', []);
  await change();
  const { code, output } = await check();
  assert.equal(await ask(anvil.url, 'evm_revert', [snapshot]), true);
  assert.notEqual(code, 0, output);
  assert.match(output, expected);
}

async function sendAs(from, to, data) {
  await ask(anvil.url, 'anvil_impersonateAccount', [from]);
  await ask(anvil.url, 'anvil_setBalance', [from, '0xde0b6b3a7640000']);
  const hash = await ask(anvil.url, 'eth_sendTransaction', [{ from, to, data, gas: '0x7a120' }]);
  await ask(anvil.url, 'anvil_stopImpersonatingAccount', [from]);
  const receipt = await ask(anvil.url, 'eth_getTransactionReceipt', [hash]);
  assert.equal(receipt.status, '0x1');
}

const word = (value) => value.replace('0x', '').toLowerCase().padStart(64, '0');

test('a deployment that breaks off says at which step, and writes no result', async () => {
  const proxy = await startProxy(anvil.url, 7);
  const { code, output } = await deploy(proxy.url, { DEPLOY_OUT: out });
  proxy.stop();
  assert.equal(code, 1, output);
  assert.match(output, /FAILED at step 8 of 1\d, .* is not on the chain/);
  assert.match(output, /7 steps landed/);
  assert.equal(existsSync(out), false);
});

test('run again it starts clean, writes the result, and never writes over one', async () => {
  const first = await deploy(anvil.url, { DEPLOY_OUT: out });
  assert.equal(first.code, 0, first.output);
  const text = readFileSync(out, 'utf8');
  deployment = JSON.parse(text);
  assert.notEqual(await ask(anvil.url, 'eth_getCode', [deployment.verifier, 'latest']), '0x');

  const again = await deploy(anvil.url, { DEPLOY_OUT: out });
  assert.equal(again.code, 2, again.output);
  assert.equal(readFileSync(out, 'utf8'), text);
});

test('nothing differs in what was just deployed', async () => {
  const { code, output } = await check();
  assert.equal(code, 0, output);
  assert.match(output, /nothing differs/);
  assert.doesNotMatch(output, /DIFFERS/);
});

test('the check names every planted difference', async () => {
  const { verifier, implementation, timelock, safe } = deployment;
  const grantRole = '0x2f2ff15d';
  const guardianRole = '55435dd261a4b9b3364963f7738a7a662ad9c84396d64be3365284bb7f0a5041';
  await planted(
    () => sendAs(timelock, verifier, `${grantRole}${guardianRole}${word(strangerAddress)}`),
    new RegExp(`DIFFERS: ${strangerAddress} holds GUARDIAN_ROLE`, 'i'),
  );
  const code = await ask(anvil.url, 'eth_getCode', [implementation, 'latest']);
  await planted(
    () => ask(anvil.url, 'anvil_setCode', [implementation, `${code}00`]),
    /DIFFERS: not so: the implementation has the byte code/,
  );
  await planted(
    () => sendAs(timelock, timelock, `0x64d62353${word('0x3c')}`), // updateDelay(60)
    /DIFFERS: not so: the timelock's delay of 60 s is the file's 10/,
  );
  await planted(
    () => sendAs(safe, safe, `0x694e80c3${word('0x1')}`), // changeThreshold(1)
    /DIFFERS: not so: the Safe's threshold of 1 is the file's 2/,
  );
  await planted(
    () => sendAs(safe, safe, `0x0d582f13${word(strangerAddress)}${word('0x2')}`), // addOwnerWithThreshold
    new RegExp(`DIFFERS: ${strangerAddress} owns the Safe, and is not in the file`, 'i'),
  );
});

const keys = { OWNER_KEYS: owners.join(',') };

test('a script prints and writes what the owners sign, and sends nothing', async () => {
  const folderOut = path.join(folder, 'governance');
  const { code, output } = await script('Pause', null, [], { GOVERNANCE_OUT: folderOut });
  assert.equal(code, 0, output);
  assert.deepEqual(readdirSync(folderOut), ['pause.json']);
  const file = JSON.parse(readFileSync(path.join(folderOut, 'pause.json'), 'utf8'));
  assert.equal(file.version, '1.0');
  assert.equal(file.chainId, '31337');
  assert.equal(file.meta.createdFromSafeAddress, deployment.safe);
  assert.deepEqual(file.transactions.map(({ to, value, data }) => ({ to, value, data })), [
    { to: deployment.verifier, value: '0', data: '0x8456cb59' },
  ]);
  assert.equal(await isPaused(), false);
});

test('with the owners\' keys it executes on a local chain: pause, and unpause after the delay', async () => {
  const one = await forge(
    ['script', 'script/governance/Pause.s.sol', '--rpc-url', anvil.url, '--broadcast'],
    { DEPLOY_OUT: out, OWNER_KEYS: owners[0], FOUNDRY_BROADCAST: path.join(folder, 'broadcast') },
  );
  assert.notEqual(one.code, 0, 'one signature of three must fail');
  assert.equal(await isPaused(), false);

  const act = async (name, signature, args) => {
    const rest = signature ? ['--sig', signature, ...args] : [];
    const answer = await forge(
      ['script', `script/governance/${name}.s.sol`, ...rest, '--rpc-url', anvil.url, '--broadcast'],
      { DEPLOY_OUT: out, FOUNDRY_BROADCAST: path.join(folder, 'broadcast'), ...keys },
    );
    return answer;
  };
  const paused = await act('Pause');
  assert.equal(paused.code, 0, paused.output);
  assert.equal(await isPaused(), true);
  assert.match((await check()).output, /DIFFERS: not so: the verifier is not paused/);

  const scheduled = await act('Unpause');
  assert.equal(scheduled.code, 0, scheduled.output);
  assert.equal(await isPaused(), true);
  const early = await act('Unpause');
  assert.notEqual(early.code, 0, 'the delay holds');
  assert.match(early.output, /NotYet/);

  await ask(anvil.url, 'evm_increaseTime', [11]);
  await ask(anvil.url, 'evm_mine', []);
  const executed = await act('Unpause');
  assert.equal(executed.code, 0, executed.output);
  assert.equal(await isPaused(), false);
});
