// A code: asked for, entered, verified and spent.

import assert from 'node:assert/strict';

import { privateKeyToAddress, generatePrivateKey } from 'viem/accounts';
import { parseEther } from 'viem';

import { scenario, scenarioAlone } from './harness/scenario.mjs';
import { WITHDRAWAL_ETHER, askForWithdrawal, depositor, digitsInput, withDigits, wrongDigits } from './harness/steps.mjs';
import { until } from './harness/until.mjs';

const stranger = () => privateKeyToAddress(generatePrivateKey());

/** Digits are entered; the contract verifies and pays. */
async function finish(world, someone, to) {
  const { page } = someone;
  await someone.sees('verify');
  await page.getByRole('button', { name: 'Verify', exact: true }).click();
  await page.getByRole('button', { name: 'Withdraw from the vault' }).click();
  await someone.sees('done');
  assert.equal(await world.chain.public.getBalance({ address: to }), parseEther(WITHDRAWAL_ETHER));
}

scenario('a code is entered by paste of its parts, with whatever stands between them', async ({ world, person }) => {
  const someone = await depositor(world, person, { context: { permissions: ['clipboard-read', 'clipboard-write'] } });
  const { page } = someone;
  const to = stranger();
  await askForWithdrawal(someone, to);
  const { digits } = await withDigits(world, someone);
  const input = digitsInput(someone);
  const paste = async (text) => {
    await page.evaluate((text) => navigator.clipboard.writeText(text), text);
    await page.keyboard.press('ControlOrMeta+V');
  };
  await input.focus();
  await paste(` ${digits.slice(0, 2)}-`);
  assert.equal(await input.inputValue(), digits.slice(0, 2));
  await paste('no digit');
  assert.equal(await input.inputValue(), digits.slice(0, 2), 'a paste without digits changes something');
  await page.keyboard.press('ControlOrMeta+Z');
  assert.equal(await input.inputValue(), '', 'the paste is not undone');
  const unlocked = page.waitForRequest(/\/unlock$/);
  await paste(`Your code: ${digits.slice(0, 3)} ${digits.slice(3)}.`);
  assert.equal(JSON.parse((await unlocked).postData()).digits, digits);
  await finish(world, someone, to);
});

scenario('the input takes keys, arrows, selections and what a browser fills in, and checks the same six digits once', async ({ world, person }) => {
  const someone = await depositor(world, person);
  const { page } = someone;
  someone.guard.expects(422);
  await askForWithdrawal(someone, stranger());
  const { digits } = await withDigits(world, someone);
  const input = digitsInput(someone);
  const asked = [];
  page.on('request', (request) => {
    if (request.url().endsWith('/unlock')) asked.push(JSON.parse(request.postData()).digits);
  });

  await input.focus();
  await page.keyboard.type('12a3 4');
  assert.equal(await input.inputValue(), '1234', 'something but digits stands there');
  await page.keyboard.press('Backspace');
  assert.equal(await input.inputValue(), '123');
  await page.keyboard.press('ArrowLeft');
  await page.keyboard.press('ArrowLeft');
  await page.keyboard.type('9');
  assert.equal(await input.inputValue(), '1923', 'a digit does not go where the caret is');
  await page.keyboard.press('Shift+ArrowRight');
  await page.keyboard.press('Delete');
  assert.equal(await input.inputValue(), '193', 'the selected digit is not deleted');
  await page.keyboard.press('ControlOrMeta+A');
  await page.keyboard.type('5');
  assert.equal(await input.inputValue(), '5', 'the selection is not replaced');
  assert.deepEqual(asked, []);

  const wrong = wrongDigits(digits);
  await page.keyboard.press('ControlOrMeta+A');
  await page.keyboard.type(wrong);
  await someone.reads('2 attempts are left');
  assert.equal(await input.inputValue(), wrong, 'what was typed is lost');
  assert.deepEqual(asked, [wrong]);

  // As a browser fills it in: no keys, no beforeinput, one event.
  await input.evaluate((element, value) => {
    Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set.call(element, value);
    element.dispatchEvent(new Event('input', { bubbles: true }));
    element.dispatchEvent(new Event('change', { bubbles: true }));
  }, digits);
  await someone.sees('verify');
  assert.deepEqual(asked, [wrong, digits], 'digits were checked twice');
});

scenario('three wrong tries lock a code, which says so and offers a new one', async ({ world, person }) => {
  const someone = await depositor(world, person);
  const { page } = someone;
  someone.guard.expects(422, 423);
  await askForWithdrawal(someone, stranger());
  const { digits } = await withDigits(world, someone);
  for (const [by, told] of [[1, '2 attempts are left'], [2, 'One attempt is left']]) {
    await digitsInput(someone).fill(wrongDigits(digits, by));
    await page.getByRole('alert').filter({ hasText: told }).waitFor();
    assert.equal(await digitsInput(someone).inputValue(), wrongDigits(digits, by));
    if (by === 1) await someone.check('Wrong digits', { picture: 'light' });
  }
  await digitsInput(someone).fill(wrongDigits(digits, 3));
  await someone.sees('ended');
  await someone.reads('locked for good');
  await someone.check('Locked', { picture: 'light' });
  await page.reload();
  await someone.reads('locked for good');
});

scenario('a new code has another reference, and each takes its own digits', async ({ world, person }) => {
  const someone = await depositor(world, person);
  const { page } = someone;
  someone.guard.expects(422);
  await askForWithdrawal(someone, stranger());
  const first = await withDigits(world, someone);
  const firstUrl = page.url();
  await page.getByRole('button', { name: 'Send a new code' }).click();
  await until('another code', async () => page.url() !== firstUrl);
  const second = await withDigits(world, someone);
  assert.notEqual(second.reference, first.reference);
  await digitsInput(someone).fill(first.digits);
  await page.getByRole('alert').filter({ hasText: '2 attempts' }).waitFor();
  await digitsInput(someone).fill(second.digits);
  await someone.sees('verify');
  await page.goto(firstUrl);
  await someone.sees('enter');
  await digitsInput(someone).fill(first.digits);
  await someone.sees('verify');
});

scenario('a reload at each step comes back to it', async ({ world, person }) => {
  const someone = await depositor(world, person);
  const { page } = someone;
  const to = stranger();
  await askForWithdrawal(someone, to);
  const { digits } = await withDigits(world, someone);
  await page.reload();
  await someone.sees('enter');
  await digitsInput(someone).fill(digits);
  await someone.sees('verify');
  await page.reload();
  await someone.sees('enter');
  await someone.reads('costs no attempt');
  await digitsInput(someone).fill(digits);
  await someone.sees('verify');
  await page.getByRole('button', { name: 'Verify', exact: true }).click();
  await page.getByRole('button', { name: 'Withdraw from the vault' }).waitFor();
  await page.reload();
  await page.getByRole('button', { name: 'Withdraw from the vault' }).click();
  await someone.sees('done');
  await page.reload();
  await someone.sees('done');
  assert.equal(await world.chain.public.getBalance({ address: to }), parseEther(WITHDRAWAL_ETHER));
});

scenario('what the wallet refuses is told, and can be tried again', async ({ world, person }) => {
  const someone = await depositor(world, person);
  const { page, wallet } = someone;
  const to = stranger();
  await askForWithdrawal(someone, to);
  const { digits } = await withDigits(world, someone);
  await digitsInput(someone).fill(digits);
  await someone.sees('verify');
  wallet.rejects('eth_sendTransaction');
  await page.getByRole('button', { name: 'Verify', exact: true }).click();
  await page.getByRole('alert').filter({ hasText: 'You said no in the wallet' }).waitFor();
  await someone.check('Rejected in the wallet', { picture: 'light' });
  for (const nonsense of ['', null, 7, {}, '0x', `0x${'f'.repeat(10_000)}`, '<b id="pwned">']) {
    wallet.override('eth_sendTransaction', () => nonsense);
    await page.getByRole('button', { name: 'Verify', exact: true }).click();
    await page.getByRole('alert').filter({ hasText: 'no answer that makes sense' }).waitFor();
  }
  await finish(world, someone, to);
});

scenario('somebody without ether for gas verifies by a signature', async ({ world, person }) => {
  const someone = await depositor(world, person);
  const { page } = someone;
  await askForWithdrawal(someone, stranger());
  const { digits } = await withDigits(world, someone);
  await digitsInput(someone).fill(digits);
  await someone.sees('verify');
  await world.chain.test.setBalance({ address: someone.account.address, value: 0n });
  await page.getByRole('button', { name: 'Verify without paying gas' }).click();
  await page.getByRole('button', { name: 'Withdraw from the vault' }).waitFor();
  assert.ok(!someone.wallet.asked.includes('eth_sendTransaction'));
  await page.getByRole('button', { name: 'Withdraw from the vault' }).click();
  await page.getByRole('alert').filter({ hasText: 'cannot pay the fee' }).waitFor();
});

scenario('a sign-in says where to, and is done once the wallet has verified it', async ({ world, stack, person }) => {
  const someone = await depositor(world, person);
  const { page } = someone;
  await someone.view('home').getByRole('button', { name: 'Get a code' }).click();
  await page.getByLabel('What is the code for?').selectOption({ label: 'Signing in' });
  await page.getByRole('button', { name: 'Get the code' }).click();
  const { digits } = await withDigits(world, someone);
  await page.getByRole('region', { name: 'What this code authorises' }).getByText(new URL(stack.is.relayerUrl).origin).waitFor();
  await digitsInput(someone).fill(digits);
  await someone.sees('verify');
  await page.getByRole('button', { name: 'Verify', exact: true }).click();
  await someone.sees('done');
  await someone.reads('Your wallet confirmed this sign-in on the chain');
});

scenario('what cannot be withdrawn is told at its field', async ({ world, person }) => {
  const someone = await depositor(world, person);
  await askForWithdrawal(someone, '0x1234', { ether: '500' });
  await someone.reads('This is no address');
  await someone.reads('This is more than there can be');
  await someone.check('Fields with errors');
});

scenarioAlone('a code that has expired is told from a wrong one', async ({ world, chain, person }) => {
  const someone = await depositor(world, person);
  const { page } = someone;
  someone.guard.expects(410, 422);
  await askForWithdrawal(someone, stranger());
  await someone.sees('enter');
  await page.getByTestId('expires-in').waitFor();
  await chain.passes(120);
  await someone.sees('ended');
  await someone.reads('has expired before it was used');
  await someone.check('Expired', { picture: 'light' });
  assert.equal(await digitsInput(someone).count(), 0);
});
