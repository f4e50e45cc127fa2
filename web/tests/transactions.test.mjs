// What becomes of a transaction after the person said yes: sped up or cancelled in the wallet, another one in its place; and
// what the page says where the wallet's node is dead, slow or lies.

import assert from 'node:assert/strict';

import { generatePrivateKey, privateKeyToAddress } from 'viem/accounts';

import { scenario, scenarioAlone } from './harness/scenario.mjs';
import { askForWithdrawal, depositor, digitsInput, withDigits } from './harness/steps.mjs';
import { walletError } from './harness/wallet.mjs';

const stranger = () => privateKeyToAddress(generatePrivateKey());
const button = (page, name) => page.getByRole('button', { name, exact: true });
const alert = (page, hasText) => page.getByRole('alert').filter({ hasText });

/** Somebody whose digits were right, before the wallet's part. */
async function atVerify(world, person) {
  const someone = await depositor(world, person);
  await askForWithdrawal(someone, stranger());
  const { digits } = await withDigits(world, someone);
  await digitsInput(someone).fill(digits);
  await someone.sees('verify');
  return someone;
}

/** Clicks Verify while no block comes; resolves, once the page waits for one, to what the wallet sent. */
async function sentWithoutBlock(someone) {
  const { page, wallet, world } = someone;
  const nonce = await world.chain.public.getTransactionCount({ address: someone.account.address });
  let sent;
  wallet.override('eth_sendTransaction', async ([transaction]) => {
    // Of the one that takes its place no estimate can be made: to the node the first has verified already.
    sent = { gas: 300_000, ...transaction, nonce };
    return world.chain.send(someone.account, sent);
  });
  await button(page, 'Verify').click();
  await page.getByTestId('transaction').filter({ hasText: 'Waiting for a block' }).waitFor();
  return sent;
}

/** Runs while no block is mined; the person's page has looked for its transaction by the end. */
async function withoutBlocks(chain, act) {
  await chain.stops();
  try {
    await act();
  } finally {
    await chain.goesOn();
  }
}

scenarioAlone('a transaction that is sped up in the wallet is followed to its block', async ({ world, chain, person }) => {
  const someone = await atVerify(world, person);
  await withoutBlocks(chain, async () => {
    const looked = someone.wallet.until('eth_getTransactionByHash');
    const sent = await sentWithoutBlock(someone);
    await looked;
    await chain.send(someone.account, { ...sent, price: 2n });
  });
  await button(someone.page, 'Withdraw from the vault').waitFor();
  assert.equal(await alert(someone.page, /\S/).count(), 0);
});

scenarioAlone('a transaction that is cancelled in the wallet is told, and can be sent again', async ({ world, chain, person }) => {
  const someone = await atVerify(world, person);
  const { page } = someone;
  await withoutBlocks(chain, async () => {
    const looked = someone.wallet.until('eth_getTransactionByHash');
    const { nonce } = await sentWithoutBlock(someone);
    await looked;
    await chain.send(someone.account, { to: someone.account.address, nonce, price: 2n });
  });
  await alert(page, 'cancelled in the wallet').waitFor();
  await someone.check('Cancelled in the wallet', { picture: 'light' });
  await button(page, 'Verify').click();
  await button(page, 'Withdraw from the vault').waitFor();
});

scenarioAlone('of another transaction in its place the page guesses nothing', async ({ world, chain, person }) => {
  const someone = await atVerify(world, person);
  const { page } = someone;
  await withoutBlocks(chain, async () => {
    const looked = someone.wallet.until('eth_getTransactionByHash');
    const { nonce } = await sentWithoutBlock(someone);
    await looked;
    await chain.send(someone.account, { to: stranger(), value: 1n, nonce, price: 2n });
  });
  await alert(page, 'what became of it cannot be asked').waitFor();
  await button(page, 'Verify').click();
  await button(page, 'Withdraw from the vault').waitFor();
});

scenario('a wallet whose node is dead, elsewhere or talks nonsense is told, and nothing is lost', async ({ world, person }) => {
  const someone = await atVerify(world, person);
  const { page, wallet } = someone;
  const dead = () => {
    throw walletError({ code: -32603, message: 'Failed to fetch' });
  };
  const nonsense = () => '<b id="pwned">';
  for (const [method, answer, told] of [
    ['eth_chainId', dead, 'no answer that makes sense'],
    ['eth_call', dead, 'no answer that makes sense'],
    ['eth_chainId', () => '0x1', 'on another chain'],
    ['eth_chainId', nonsense, /no answer that makes sense|on another chain/],
    ['eth_call', nonsense, /no answer that makes sense|refused/],
  ]) {
    wallet.override(method, answer, Infinity);
    await button(page, 'Verify').click();
    await alert(page, told).waitFor();
    wallet.obeys(method);
  }
  assert.ok(!wallet.asked.includes('eth_sendTransaction'), 'something was sent without having been tried');
  assert.equal(await page.locator('#pwned').count(), 0);
  await someone.check('Wallet without a node');
  await button(page, 'Verify').click();
  await button(page, 'Withdraw from the vault').waitFor();
});

scenario('a wallet whose node never answers keeps nobody waiting for ever', async ({ world, person }) => {
  const someone = await atVerify(world, person);
  someone.wallet.override('eth_call', () => new Promise(() => {}), Infinity);
  await button(someone.page, 'Verify').click();
  await alert(someone.page, 'no answer that makes sense').waitFor();
  assert.ok(!someone.wallet.asked.includes('eth_sendTransaction'));
});

scenario('a form that was opened before the vault counted on asks for no code by the old number', async ({ world, person }) => {
  const someone = await atVerify(world, person);
  const { page } = someone;
  const tab = await someone.newTab('/?view=new-code');
  await someone.sees('new-code', tab);
  await tab.getByLabel('Recipient').fill(stranger());
  await tab.getByLabel('Amount (ETH)').fill('0.5');
  await tab.getByRole('region', { name: 'What this code authorises' }).getByText('0.5 ETH').waitFor();
  await button(page, 'Verify').click();
  await button(page, 'Withdraw from the vault').click();
  await someone.sees('done');
  const asked = [];
  tab.on('request', (request) => request.method() === 'POST' && request.url().endsWith('/v1/otps') && asked.push(request));
  await button(tab, 'Get the code').click();
  await alert(tab, 'has done something with this contract').waitFor();
  assert.equal(asked.length, 0);
  await button(tab, 'Get the code').click();
  await someone.sees('enter', tab);
});
