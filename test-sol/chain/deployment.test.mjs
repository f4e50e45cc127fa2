// Deployment and its check, from the command line against a real node.
// Run: node --test test-sol/chain/     (forge must have built: it is asked for byte code)
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { ask, check as runCheck, deploy, scratchFolder, sendAs, startAnvil, startProxy, strangerAddress } from './anvil.mjs';
import { hash, hashOfBytes, selector } from './transactionBuilder.mjs';

const { folder, remove } = scratchFolder('deployment-test');
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

const check = (env) => runCheck(anvil.url, deployment.verifier, env);

const word = (value) => value.replace('0x', '').toLowerCase().padStart(64, '0');
const text = (value) => Buffer.from(value).toString('hex').padEnd(64, '0');
const call = (signature, ...words) => `${selector(signature)}${words.map(word).join('')}`;
const send = (from, to, signature, ...words) => sendAs(anvil.url, from, to, call(signature, ...words));
const store = (account, slot, value) => ask(anvil.url, 'anvil_setStorageAt', [account, slot, `0x${word(value)}`]);
const append = async (account) => {
  const code = await ask(anvil.url, 'eth_getCode', [account, 'latest']);
  await ask(anvil.url, 'anvil_setCode', [account, `${code}00`]);
};

// Has the account emit a log with one indexed argument, by code that stands in its place for one call: two topics, then data.
async function logAs(account, topic, indexed, data) {
  const code = await ask(anvil.url, 'eth_getCode', [account, 'latest']);
  await ask(anvil.url, 'anvil_setCode', [account, '0x604036038060405f37602035905f35905fa200']);
  await sendAs(anvil.url, strangerAddress, account, `0x${[topic, indexed, ...data].map(word).join('')}`);
  await ask(anvil.url, 'anvil_setCode', [account, code]);
}

// Changes the chain as no script would, has the check say in words what differs - all of it, and nothing else - and takes
// the change back.
async function planted(change, expected, env) {
  const snapshot = await ask(anvil.url, 'evm_snapshot', []);
  await change();
  const { code, output } = await check(env);
  assert.equal(await ask(anvil.url, 'evm_revert', [snapshot]), true);
  assert.equal(code, 1, output);
  const differences = [...output.matchAll(/^DIFFERS: (.*)$/gm)].map(([, words]) => words);
  const same = (line) => line.toLowerCase().replace(/^not so: /, '');
  assert.deepEqual(differences.map(same).sort(), expected.map(same).sort(), output);
}

test('nothing is sent when the result could not be written', async () => {
  const occupied = path.join(folder, 'occupied');
  writeFileSync(occupied, '');
  const before = await ask(anvil.url, 'eth_blockNumber', []);
  const { code, output } = await deploy(anvil.url, { DEPLOY_OUT: path.join(occupied, 'deployment.json') });
  assert.equal(code, 2, output);
  assert.match(output, /could not be written, so nothing was sent/);
  assert.equal(await ask(anvil.url, 'eth_blockNumber', []), before);
});

test('a deployment that breaks off says at which step, and writes no result', async () => {
  for (const steps of [0, 7]) {
    const proxy = await startProxy(anvil.url, steps);
    const { code, output } = await deploy(proxy.url, { DEPLOY_OUT: out });
    proxy.stop();
    assert.equal(code, 1, output);
    assert.match(output, new RegExp(`FAILED at step ${steps + 1} of 1\\d, .* is not on the chain`));
    assert.match(output, new RegExp(`${steps} steps landed`));
    assert.equal(existsSync(out), false);
  }
});

test('run again it starts clean, writes the result, and never writes over one', async () => {
  const first = await deploy(anvil.url, { DEPLOY_OUT: out });
  assert.equal(first.code, 0, first.output);
  const result = readFileSync(out, 'utf8');
  deployment = JSON.parse(result);
  assert.notEqual(await ask(anvil.url, 'eth_getCode', [deployment.verifier, 'latest']), '0x');

  const again = await deploy(anvil.url, { DEPLOY_OUT: out });
  assert.equal(again.code, 2, again.output);
  assert.equal(readFileSync(out, 'utf8'), result);
});

test('a result that cannot be written after all is kept, and said where', async () => {
  const taken = path.join(folder, 'taken.json');
  const before = await ask(anvil.url, 'eth_blockNumber', []);
  const deploying = deploy(anvil.url, { DEPLOY_OUT: taken });
  while ((await ask(anvil.url, 'eth_blockNumber', [])) === before) await new Promise((resolve) => setTimeout(resolve, 50));
  mkdirSync(taken);
  const { code, output } = await deploying;
  assert.equal(code, 1, output);
  const [, kept] = output.match(/what stands where is in (.*)/);
  assert.notEqual(JSON.parse(readFileSync(kept, 'utf8')).verifier, deployment.verifier);
  rmSync(path.dirname(kept), { recursive: true });
});

test('the result may lie on another file system', { skip: !anotherFileSystem() && 'there is none here' }, async () => {
  const far = `/dev/shm/deployment-test-${process.pid}.json`;
  try {
    const { code, output } = await deploy(anvil.url, { DEPLOY_OUT: far });
    assert.equal(code, 0, output);
    assert.notEqual(JSON.parse(readFileSync(far, 'utf8')).verifier, deployment.verifier);
  } finally {
    rmSync(far, { force: true });
  }
});

function anotherFileSystem() {
  return existsSync('/dev/shm') && statSync('/dev/shm').dev !== statSync(folder).dev;
}

test('nothing differs in what was just deployed', async () => {
  const { code, output } = await check();
  assert.equal(code, 0, output);
  assert.match(output, /nothing differs/);
  assert.doesNotMatch(output, /DIFFERS/);
});

test('the check sees every other byte code', async () => {
  const { verifier, implementation, proxyAdmin, timelock, safe } = deployment;
  await planted(
    async () => {
      for (const account of [verifier, implementation, proxyAdmin, timelock, safe]) await append(account);
      await store(implementation, '0xf0c57e16840df040f15088dc2f81fe391c3923bec73e23a9662efc9c229c6a00', '0x1');
    },
    [
      'the proxy has the byte code of this build',
      'the implementation has the byte code of this build',
      'the implementation itself can be initialized by nobody',
      'the proxy admin has the byte code of this build',
      "the proxy admin's owner, the timelock, has the byte code of this build",
      'the Safe has the byte code of this build',
    ],
  );
});

test('the check sees that a key owns the proxy admin, and an address that is no proxy', async () => {
  const { verifier, proxyAdmin, timelock } = deployment;
  await planted(
    () => send(timelock, proxyAdmin, 'transferOwnership(address)', strangerAddress),
    ["the proxy admin's owner, the timelock, has the byte code of this build"],
  );
  await planted(
    () => store(verifier, '0xb53127684a568b3173ae13b9f8a6016e243e63b6e8ee1178d6a717850b5d6103', strangerAddress),
    [`${verifier} is no transparent proxy on this chain`],
  );
});

test('the check sees each role of the verifier that is missing, and each that nobody should hold', async () => {
  const { verifier, timelock, safe, guardian, issuers } = deployment;
  const roles = { DEFAULT_ADMIN_ROLE: '0x0', GOVERNOR_ROLE: hash('GOVERNOR_ROLE'), GUARDIAN_ROLE: hash('GUARDIAN_ROLE'), ISSUER_ROLE: hash('ISSUER_ROLE') };
  const name = (role) => (role === 'DEFAULT_ADMIN_ROLE' ? `${role} of the verifier` : role);
  await planted(async () => {
    for (const role of Object.values(roles)) await send(timelock, verifier, 'grantRole(bytes32,address)', role, strangerAddress);
  }, Object.keys(roles).map((role) => `${strangerAddress} holds ${name(role)}, and nobody gave it to it in the file`));
  await planted(
    async () => {
      for (const account of [safe, guardian]) await send(timelock, verifier, 'revokeRole(bytes32,address)', roles.GUARDIAN_ROLE, account);
      for (const account of issuers) await send(timelock, verifier, 'revokeRole(bytes32,address)', roles.ISSUER_ROLE, account);
      for (const role of [roles.GOVERNOR_ROLE, '0x0']) await send(timelock, verifier, 'revokeRole(bytes32,address)', role, timelock);
    },
    [
      ...[safe, guardian].map((account) => `${account} holds GUARDIAN_ROLE`),
      ...issuers.map((account) => `${account} holds ISSUER_ROLE`),
      `${timelock} holds GOVERNOR_ROLE`,
      `${timelock} holds DEFAULT_ADMIN_ROLE of the verifier`,
    ],
  );
});

test('the check sees a pause, another policy, and a purpose that nobody wrote down', async () => {
  const { verifier, timelock, safe } = deployment;
  const setPolicy = 'setPolicy(bytes32,(uint32,uint16,uint8,bool))';
  await planted(
    async () => {
      await send(safe, verifier, 'pause()');
      await send(timelock, verifier, setPolicy, text('keys'), '0x3c', '0x12c', '0x5', '0x1');
      await send(timelock, verifier, setPolicy, text('roles'), '0x3c', '0x12c', '0x3', '0x0');
      await send(timelock, verifier, setPolicy, text('payouts'), '0x3c', '0x12c', '0x3', '0x1');
    },
    [
      'the verifier is not paused',
      "the policy of keys is the file's: ttl 60 s, grace 300 s, 5 attempts, enabled",
      "the policy of roles is the file's: ttl 60 s, grace 300 s, 3 attempts, disabled",
      `purpose 0x${text('payouts')} issues codes, and is not in the file`,
    ],
  );
});

test("the check sees another delay and other powers over the timelock", async () => {
  const { timelock, safe } = deployment;
  const roles = { CANCELLER_ROLE: hash('CANCELLER_ROLE'), EXECUTOR_ROLE: hash('EXECUTOR_ROLE'), DEFAULT_ADMIN_ROLE: '0x0' };
  await planted(
    async () => {
      await send(timelock, timelock, 'updateDelay(uint256)', '0x3c');
      for (const role of Object.values(roles)) await send(timelock, timelock, 'grantRole(bytes32,address)', role, strangerAddress);
      await send(timelock, timelock, 'grantRole(bytes32,address)', roles.EXECUTOR_ROLE, '0x0'); // open to all
      await send(timelock, timelock, 'revokeRole(bytes32,address)', roles.CANCELLER_ROLE, safe);
    },
    [
      "the timelock's delay of 60 s is the file's 10",
      ...Object.keys(roles).map((role) => `${strangerAddress} holds the timelock's ${role}, and nobody gave it to it in the file`),
      `0x${'0'.repeat(40)} holds the timelock's EXECUTOR_ROLE, and nobody gave it to it in the file`,
      `${safe} holds the timelock's CANCELLER_ROLE`,
    ],
  );
  await planted(
    () => send(timelock, timelock, 'grantRole(bytes32,address)', hash('PROPOSER_ROLE'), strangerAddress),
    ['the timelock has 2 proposers instead of one Safe'],
  );
});

test('the check sees a role that others than the admin give', async () => {
  const { verifier, timelock } = deployment;
  const roles = (names) => ['0x0', ...names.map(hash)];
  // where OpenZeppelin's AccessControl keeps a role's admin, upgradeable (ERC-7201) and not
  const places = [
    [verifier, '0x02dd7bc7dec4dceedda775e58dd541e08a116c6c53815c0bd028192f7b626800', ['GOVERNOR_ROLE', 'GUARDIAN_ROLE', 'ISSUER_ROLE']],
    [timelock, '0x0', ['PROPOSER_ROLE', 'CANCELLER_ROLE', 'EXECUTOR_ROLE']],
  ];
  await planted(
    async () => {
      for (const [account, slot, names] of places) {
        for (const role of roles(names)) {
          const data = BigInt(hashOfBytes(`${word(role)}${word(slot)}`));
          await store(account, `0x${(data + 1n).toString(16)}`, hash('ANOTHER_ROLE'));
        }
      }
    },
    [
      'only the admin gives DEFAULT_ADMIN_ROLE of the verifier',
      ...places[0][2].map((name) => `only the admin gives ${name}`),
      ...[...places[1][2], 'DEFAULT_ADMIN_ROLE'].map((name) => `only the admin gives the timelock's ${name}`),
    ],
  );
});

test('the check sees code that ran in the setup of the Safe, and owners that it had then', async () => {
  const { safe } = deployment;
  const setup = hash('SafeSetup(address,address[],uint256,address,address)');
  await planted(
    () => logAs(safe, setup, strangerAddress, ['0xa0', '0x1', strangerAddress, strangerAddress, '0x0', '0x1', strangerAddress]),
    [
      'the Safe was set up once',
      "no code of others ran in the Safe's setup",
      "the Safe was set up with the file's owners",
      "the fallback handler of the Safe's setup has the byte code of this build",
    ],
  );
});

test('the check sees that another implementation stood here before', async () => {
  const { verifier, implementation, proxyAdmin, timelock } = deployment;
  await planted(async () => {
    const data = `${selector('upgradeAndCall(address,address,bytes)')}${[verifier, implementation, '0x60', '0x0'].map(word).join('')}`;
    await sendAs(anvil.url, timelock, proxyAdmin, data);
  }, [`upgraded to ${implementation}; the one before can have written any storage`]);
  await planted(
    () => logAs(verifier, hash('Upgraded(address)'), strangerAddress, []),
    [
      'the last Upgraded log names the implementation',
      `upgraded to ${strangerAddress}; the one before can have written any storage`,
    ],
  );
});

test('the check refuses a file that no deployment would be made from, though the chain is as it says', async () => {
  const { timelock, verifier } = deployment;
  const file = JSON.parse(readFileSync('script/config/local.json', 'utf8'));
  file.policies[2].maxAttempts = 5;
  const lax = path.join(folder, 'lax.json');
  writeFileSync(lax, JSON.stringify(file));
  await planted(
    () => send(timelock, verifier, 'setPolicy(bytes32,(uint32,uint16,uint8,bool))', text('keys'), '0x3c', '0x12c', '0x5', '0x1'),
    ['the file is one that Deploy takes: it says UnsafeMaxAttempts'],
    { DEPLOY_CONFIG: lax },
  );
});

test('the check sees other owners of the Safe, and each way past them', async () => {
  const { safe } = deployment;
  const { owners } = JSON.parse(readFileSync('script/config/local.json', 'utf8'));
  await planted(
    async () => {
      await send(safe, safe, 'swapOwner(address,address,address)', '0x1', owners[0], strangerAddress);
      await send(safe, safe, 'changeThreshold(uint256)', '0x1');
      await send(safe, safe, 'enableModule(address)', strangerAddress);
      await send(safe, safe, 'setFallbackHandler(address)', strangerAddress);
      await store(safe, hash('guard_manager.guard.address'), strangerAddress);
    },
    [
      `${owners[0]} owns the Safe`,
      `${strangerAddress} owns the Safe, and is not in the file`,
      "the Safe's threshold of 1 is the file's 2",
      'the Safe has no module',
      "the Safe's fallback handler has the byte code of this build",
      'the Safe has no transaction guard',
    ],
  );
  const singleton = await ask(anvil.url, 'eth_getStorageAt', [safe, '0x0', 'latest']);
  await planted(() => append(`0x${singleton.slice(-40)}`), ["the Safe's singleton has the byte code of this build"]);
});

test('the check says when it was not shown all logs', async () => {
  const head = await ask(anvil.url, 'eth_blockNumber', []);
  const { code, output } = await check({ FROM_BLOCK: String(BigInt(head)) });
  assert.equal(code, 1, output);
  assert.match(output, /DIFFERS: not so: FROM_BLOCK is before the deployment/);
});

test('a check that cannot be finished is no clean one', async () => {
  const { code, output } = await runCheck('http://127.0.0.1:9', deployment.verifier, {});
  assert.equal(code, 2, output);
  assert.match(output, /could not be finished/);
  const nobody = await runCheck(anvil.url, strangerAddress, {});
  assert.equal(nobody.code, 1, nobody.output);
  assert.match(nobody.output, /is no transparent proxy/);
});
