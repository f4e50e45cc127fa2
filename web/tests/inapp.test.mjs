// Codes that reach the page itself, sealed to a key that only this browser holds.

import assert from 'node:assert/strict';

import { scenario } from './harness/scenario.mjs';
import { askForWithdrawal, contactsOf, signIn } from './harness/steps.mjs';

scenario('codes reach this browser sealed to its own key', async ({ world, person }) => {
  const someone = await person();
  const { page } = someone;
  await world.chain.deposit(someone.account, '5');
  await signIn(someone);
  await contactsOf(someone);
  await page.getByLabel('Where should the digits go?').selectOption({ label: 'This browser' });
  await someone.check('Key of this browser');
  await page.getByRole('button', { name: 'Make the key and confirm it' }).click();
  await someone.reads('is confirmed and receives codes');
  await page.getByRole('link', { name: 'Overview' }).click();
  await askForWithdrawal(someone, '0x70997970C51812dc3A010C7d01b50e0d17dc79C8');
  await page.getByTestId('arrived').waitFor();
  assert.match(await page.getByTestId('arrived').innerText(), /^\d{6}$/);
  await someone.check('Digits in this browser', { picture: 'light' });
  await page.getByRole('button', { name: 'Use these digits' }).click();
  await someone.sees('verify');
});
