// The whole way of a code, by keyboard alone: from a wallet that nobody knows to the payout. Each state on it is held to
// what states have to be, and has its picture.

import assert from 'node:assert/strict';

import { parseEther } from 'viem';
import { generatePrivateKey, privateKeyToAddress } from 'viem/accounts';

import { scenario } from './harness/scenario.mjs';
import { WITHDRAWAL_ETHER, digitsInput, withDigits } from './harness/steps.mjs';

scenario('the whole path by keyboard alone', async ({ world, chain, mailbox, person }) => {
  const someone = await person({ context: { viewport: { width: 1100, height: 900 } } });
  const { page } = someone;
  const button = (name) => page.getByRole('button', { name, exact: true });
  const to = privateKeyToAddress(generatePrivateKey());
  await chain.deposit(someone.account, '5');
  await page.mouse.move(0, 0);

  await someone.sees('connect');
  await someone.check('Connect');
  await someone.press(page.getByRole('button', { name: someone.wallet.info.name }));
  await someone.sees('sign-in');
  await headingHasFocus(page);
  await page.getByTestId('siwe').filter({ hasText: 'wants you to sign in' }).waitFor();
  await someone.press(button('Sign in'));
  await someone.sees('home');
  await headingHasFocus(page);
  await someone.check('No contact yet', { picture: 'light' });

  await someone.press(button('Add a contact'));
  await someone.sees('contacts');
  await someone.type(page.getByLabel('Email address'), someone.email);
  await page.keyboard.press('Enter');
  const confirmation = page.getByLabel('Digits from the message');
  await confirmation.waitFor();
  await someone.check('Confirm a contact', { picture: 'light' });
  await someone.type(confirmation, await mailbox.confirmation(someone.email));
  await someone.reads('is confirmed and receives codes');
  await someone.check('Contacts', { picture: 'light' });

  await someone.press(page.getByRole('link', { name: 'Overview' }));
  await someone.sees('home');
  await someone.press(button('Get a code'));
  await someone.sees('new-code');
  await headingHasFocus(page);
  await someone.type(page.getByLabel('Recipient'), to);
  await someone.type(page.getByLabel('Amount (ETH)'), WITHDRAWAL_ETHER);
  await someone.check('Get a code', { picture: 'light' });
  await page.keyboard.press('Enter');

  const { digits, text } = await withDigits(world, someone);
  assert.ok(text.replaceAll(/\s/g, '').includes(to), `the mail does not say who is paid:\n${text}`);
  await page.locator('[data-step="delivered"][data-state="done"]').waitFor();
  await someone.check('Enter the digits', { picture: 'light' });
  await someone.type(digitsInput(someone), digits);
  await someone.sees('verify');
  await someone.check('Verify', { picture: 'light' });
  const heard = await announcements(page);
  await someone.press(button('Verify'));
  const withdraw = button('Withdraw from the vault');
  await withdraw.waitFor();
  // The relayer may tell of the verification before the wallet does, and then the step is over without a word of the block.
  assert.match((await heard.jsonValue()).join('\n'), /Waiting for a block/);
  await someone.check('Verified', { picture: 'light' });
  await someone.press(withdraw);
  await someone.sees('done');
  await page.locator('[data-step="consumed"][data-state="done"]').waitFor();
  await someone.check('Done');
  await someone.check('Done, dark', { picture: 'dark' });
  assert.equal(await chain.public.getBalance({ address: to }), parseEther(WITHDRAWAL_ETHER));
});

/**
 * All that is told to screen readers from now on. Noted by the page itself: a block may come before anybody who looks from
 * outside looks again.
 */
function announcements(page) {
  return page.evaluateHandle(() => {
    const heard = [];
    const hear = () => heard.push(...[...document.querySelectorAll('[role="status"]')].map((region) => region.textContent));
    new MutationObserver(hear).observe(document.body, { subtree: true, childList: true, characterData: true });
    return heard;
  });
}

async function headingHasFocus(page) {
  await page.locator('main h1:focus').waitFor();
}
