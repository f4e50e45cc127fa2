// The link in a mail: the page opens with the code in the fragment, at either daemon.

import assert from 'node:assert/strict';

import { parseEther } from 'viem';
import { generatePrivateKey, privateKeyToAddress } from 'viem/accounts';

import { signIn, withMailbox } from './harness/api.mjs';
import { scenario, scenarioAlone } from './harness/scenario.mjs';
import { WITHDRAWAL_ETHER } from './harness/steps.mjs';

/** Somebody with a mail that has a link for a withdrawal. */
async function withLink(world, person) {
  const someone = await person({ path: null });
  await world.chain.deposit(someone.account, '5');
  const contactId = await withMailbox(world, someone);
  const to = privateKeyToAddress(generatePrivateKey());
  const api = await signIn(world, someone.account);
  const { id } = await api.ask({ purpose: 'withdraw', contactId, action: withdrawal(world, to) });
  const { link } = await world.mailbox.code(someone.email);
  return { someone, api, id, to, link };
}

function withdrawal(world, to) {
  const field = (name, type) => ({ name, type });
  return {
    consumer: world.stack.is.vault,
    primaryType: 'Withdrawal',
    types: { Withdrawal: [field('to', 'address'), field('amount', 'uint256'), field('nonce', 'uint256')] },
    message: { to, amount: parseEther(WITHDRAWAL_ETHER).toString(), nonce: '0' },
  };
}

/** From the opened link to the payout. */
async function useLink(world, someone, to) {
  const { page } = someone;
  await page.getByRole('button', { name: someone.wallet.info.name }).click();
  await page.getByRole('button', { name: 'Look the code up' }).click();
  await page.getByRole('button', { name: 'Verify', exact: true }).click();
  await page.getByRole('button', { name: 'Withdraw from the vault' }).click();
  await page.getByTestId('done').waitFor();
  assert.equal(await world.chain.public.getBalance({ address: to }), parseEther(WITHDRAWAL_ETHER));
}

scenario('a link does nothing before a click, leaves no trace of the code, and then pays', async ({ world, person }) => {
  const { someone, api, id, to, link } = await withLink(world, person);
  const { page } = someone;
  const fragment = new URL(link).hash;
  const urls = [];
  someone.context.on('request', (request) => urls.push(request.url(), JSON.stringify(request.headers()), request.postData() ?? ''));
  await page.goto(link);
  await someone.sees('link');
  assert.equal(page.url().includes('#'), false, 'the code stays in the address bar');
  await someone.reads(`${WITHDRAWAL_ETHER} ETH`);
  assert.ok((await page.locator('main').innerText()).includes(to), 'the recipient is not shown whole');
  await someone.check('Link from a mail', { picture: 'light' });
  assert.equal((await api.call('GET', `/v1/otps/${id}`)).status, 'delivered', 'opening it did something');
  await page.goBack().catch(() => null);
  await page.goForward().catch(() => null);
  assert.equal(page.url().includes('#'), false, 'the code is in the history');
  await page.goto(link);
  await useLink(world, someone, to);
  await someone.check('Link used');
  const { code } = JSON.parse(Buffer.from(fragment.slice(4), 'base64url'));
  assert.ok(!urls.some((text) => text.includes(code)), 'the code was sent to a server');
});

scenario('a link that was cut, tampered with or is of elsewhere is refused in words', async ({ world, person }) => {
  const { someone, link } = await withLink(world, person);
  const { page } = someone;
  const [base, fragment] = link.split('#v1.');
  const value = JSON.parse(Buffer.from(fragment, 'base64url'));
  const made = (change) => `${base}#v1.${Buffer.from(JSON.stringify(change(structuredClone(value)))).toString('base64url')}`;
  const broken = [
    base,
    `${base}#v1.${fragment.slice(0, -7)}`,
    `${base}#v1.`,
    `${base}#v1.%00`,
    `${base}#v7.${fragment}`,
    `${base}#<b id="pwned">`,
    `${base}#v1.${'A'.repeat(60_000)}`,
    made((it) => ({ ...it, more: 1 })),
    made((it) => ({ ...it, code: `${it.code}a` })),
    made((it) => ({ ...it, issuer: '0x0' })),
    made((it) => ({ ...it, action: 7 })),
    made(() => [value]),
    made(() => null),
  ];
  for (const url of broken) {
    await page.goto('about:blank');
    await page.goto(url);
    await page.getByTestId('link-broken').waitFor();
    assert.equal(page.url().includes('#'), false, url);
    assert.equal(await page.locator('#pwned').count(), 0);
  }
  await someone.check('Broken link', { picture: 'light' });

  someone.guard.expects(404);
  await page.goto('about:blank');
  await page.goto(made((it) => ({ ...it, id: `0x${'ab'.repeat(32)}` })));
  await page.getByRole('button', { name: someone.wallet.info.name }).click();
  await page.getByRole('button', { name: 'Look the code up' }).click();
  await someone.reads('The chain has no such code');
  await someone.check('Link to no code');

  // Another recipient: what the page shows is what it would send, and the contract refuses it.
  const thief = privateKeyToAddress(generatePrivateKey());
  await page.goto('about:blank');
  await page.goto(made((it) => ({ ...it, action: { ...it.action, message: { ...it.action.message, to: thief } } })));
  await page.getByRole('button', { name: 'Look the code up' }).click();
  await page.getByRole('button', { name: 'Verify', exact: true }).click();
  await page.getByRole('alert').filter({ hasText: 'not for this wallet and this purpose' }).waitFor();
  assert.ok(!someone.wallet.asked.includes('eth_sendTransaction'), 'it was sent without asking the contract first');
});

scenario('a link with markup in its fields shows text', async ({ world, person }) => {
  const { someone, link } = await withLink(world, person);
  const [base, fragment] = link.split('#v1.');
  const value = JSON.parse(Buffer.from(fragment, 'base64url'));
  value.action.types.Withdrawal.push({ name: '<b id="pwned">', type: 'string' });
  value.action.message['<b id="pwned">'] = '<img src=x onerror=alert(1)><b id="pwned">\u202egnp';
  await someone.page.goto(`${base}#v1.${Buffer.from(JSON.stringify(value)).toString('base64url')}`);
  await someone.sees('link');
  assert.equal(await someone.page.locator('#pwned').count(), 0);
  await someone.check('Link with markup');
});

scenarioAlone('a link works at the indexer while the relayer is down', async ({ world, stack, person }) => {
  const { someone, to, link } = await withLink(world, person);
  await stack.stop('relayer');
  try {
    await someone.page.goto(link.replace(stack.is.relayerUrl, stack.is.indexerUrl));
    await someone.sees('link');
    await someone.check('Link at the indexer');
    await useLink(world, someone, to);
  } finally {
    await stack.start('relayer');
  }
});
