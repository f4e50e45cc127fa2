// Contacts: where codes go, and what it takes to change that.

import assert from 'node:assert/strict';

import { withMailbox } from './harness/api.mjs';
import { scenario } from './harness/scenario.mjs';
import { contactsOf, depositor, signIn, wrongDigits } from './harness/steps.mjs';

scenario('wrong digits confirm no contact, and are no end', async ({ mailbox, person }) => {
  const someone = await person();
  const { page } = someone;
  someone.guard.expects(422, 400);
  await signIn(someone);
  await contactsOf(someone);
  await page.getByLabel('Email address').fill('no address');
  await page.getByRole('button', { name: 'Send digits there' }).click();
  await page.locator('main [role="alert"]').filter({ hasText: /\S/ }).first().waitFor();
  await someone.check('Not an address');
  await page.getByLabel('Email address').fill(someone.email);
  await page.getByRole('button', { name: 'Send digits there' }).click();
  const digits = await mailbox.confirmation(someone.email);
  const input = page.getByLabel('Digits from the message');
  await input.fill(wrongDigits(digits));
  await page.getByRole('alert').filter({ hasText: '2 attempts' }).waitFor();
  await input.fill(digits);
  await someone.reads('is confirmed and receives codes');
});

scenario('a second contact waits until the first one approves', async ({ world, mailbox, person }) => {
  const someone = await person({ path: null });
  const { page } = someone;
  await withMailbox(world, someone);
  await someone.open('/');
  await signIn(someone);
  await contactsOf(someone);
  const second = someone.email.replace('@', '-2@');
  await page.getByLabel('Email address').fill(second);
  await page.getByRole('button', { name: 'Send digits there' }).click();
  await page.getByLabel('Digits from the message').fill(await mailbox.confirmation(second));
  await someone.reads('once the change is approved');
  await someone.check('Change that waits', { picture: 'light' });
  const announced = await mailbox.take(someone.email, ({ text }) => /(?<!\d)\d{6}(?!\d)/.test(text));
  await page.getByLabel('Digits from the announcement').fill(/(?<!\d)\d{6}(?!\d)/.exec(announced.text)[0]);
  await page.getByText('Receives codes', { exact: true }).nth(1).waitFor();
});

scenario('a contact shows its address masked, and its removal waits', async ({ world, person }) => {
  const someone = await depositor(world, person);
  await contactsOf(someone);
  const text = await someone.page.locator('main').innerText();
  assert.ok(!text.includes(someone.email), 'the whole address is shown');
  await someone.page.getByRole('button', { name: /^Remove / }).click();
  await someone.reads('The removal waits');
  await someone.check('Removal that waits');
});

scenario('whoever reads the page in German is written to in German', async ({ mailbox, person }) => {
  const someone = await person({ context: { locale: 'de-DE' } });
  const { page } = someone;
  await page.getByRole('button', { name: someone.wallet.info.name }).click();
  await page.getByRole('button', { name: 'Anmelden', exact: true }).click();
  await page.getByRole('link', { name: 'Kontakte' }).click();
  await page.locator('input[type="email"]').fill(someone.email);
  await page.locator('main form button[type="submit"]').first().click();
  const { subject, text } = await mailbox.take(someone.email, () => true);
  assert.match(`${subject}\n${text}`, /bestätig/i);
});
