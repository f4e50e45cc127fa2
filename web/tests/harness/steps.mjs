// What people do on the wallet page, by mouse, where a test is about something else.

import { withMailbox } from './api.mjs';

export const WITHDRAWAL_ETHER = '1.25';

export async function connect(person, wallet = person.wallet) {
  await person.sees('connect');
  await person.page.getByRole('button', { name: wallet.info.name }).click();
}

export async function signIn(person) {
  await connect(person);
  await person.sees('sign-in');
  await person.page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await person.sees('home');
}

/** Opens the contacts. */
export async function contactsOf(someone) {
  await someone.page.getByRole('link', { name: 'Contacts' }).click();
  await someone.sees('contacts');
}

/** Somebody with a confirmed mailbox and ether in the vault, signed in. */
export async function depositor(world, person, options) {
  const someone = await person({ ...options, path: null });
  await Promise.all([withMailbox(world, someone), world.chain.deposit(someone.account, '5')]);
  await someone.open('/');
  await signIn(someone);
  return someone;
}

/** Fills the form for a withdrawal in, and sends it. */
export async function askForWithdrawal(person, to, { ether = WITHDRAWAL_ETHER } = {}) {
  const { page } = person;
  await person.view('home').getByRole('button', { name: 'Get a code' }).or(page.getByRole('link', { name: 'Get a code' })).first().click();
  await person.sees('new-code');
  await page.getByLabel('Recipient').fill(to);
  await page.getByLabel('Amount (ETH)').fill(ether);
  await page.getByRole('button', { name: 'Get the code' }).click();
}

/** The view where the digits are entered, and the mail with them. */
export async function withDigits(world, person) {
  await person.sees('enter');
  const reference = await person.page.getByTestId('reference').innerText();
  const mail = await world.mailbox.code(person.email, ({ text }) => text.includes(reference));
  return { ...mail, reference };
}

/** The one input. */
export function digitsInput(person) {
  return person.page.locator('input[autocomplete="one-time-code"]');
}

/** Six digits that are not these. */
export function wrongDigits(digits, by = 1) {
  return String((Number(digits) + by) % 1_000_000).padStart(6, '0');
}
