// Two tabs of one browser, which have one cookie.

import assert from 'node:assert/strict';

import { scenario } from './harness/scenario.mjs';
import { connect, signIn } from './harness/steps.mjs';

scenario('a sign-in in one tab signs the other one in', async ({ person }) => {
  const someone = await person();
  const tab = await someone.newTab();
  await someone.sees('connect', tab);
  await signIn(someone);
  await someone.sees('home', tab);
  await tab.getByRole('link', { name: 'Contacts' }).click();
  await someone.sees('contacts', tab);
  assert.equal(await tab.getByTestId('reconnect').count(), 0, 'the wallet is not connected there');
  await someone.check('Signed in from another tab', { picture: false, page: tab });
});

scenario('a tab with another wallet follows the session and does not end it', async ({ chain, person }) => {
  const someone = await person({ wallets: ['First Wallet', 'Second Wallet'] });
  const [first, second] = someone.wallets;
  second.accounts = [await chain.newAccount()];
  const tab = await someone.newTab();
  await someone.sees('connect', tab);
  await tab.getByRole('button', { name: second.info.name }).click();
  await someone.sees('sign-in', tab);
  await connect(someone, first);
  await someone.sees('sign-in');
  await someone.page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await someone.sees('home');
  await someone.sees('home', tab);
  const shown = `${first.account.address.slice(0, 6)}…${first.account.address.slice(-4)}`;
  assert.equal(await tab.getByTestId('account').innerText(), shown);
  await second.switchAccount(await chain.newAccount());
  await someone.page.reload();
  await someone.sees('home');
  await someone.sees('home', tab);
});

scenario('a reload comes back to the same view at each step', async ({ person }) => {
  const someone = await person();
  const { page } = someone;
  const stays = async (view) => {
    await someone.sees(view);
    await page.reload();
    await someone.sees(view);
  };
  await stays('connect');
  await connect(someone);
  await stays('sign-in');
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await stays('home');
  await page.getByRole('link', { name: 'Contacts' }).click();
  await stays('contacts');
  await page.getByLabel('Email address').fill(someone.email);
  await page.getByRole('button', { name: 'Send digits there' }).click();
  await page.getByLabel('Digits from the message').waitFor();
  await stays('contacts');
  await page.getByLabel('Digits from the message').waitFor();
  await page.goBack();
  await someone.sees('home');
});
