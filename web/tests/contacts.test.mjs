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

scenario('a phone number is taken in its international form alone, and shown masked', async ({ person }) => {
  const someone = await person();
  const { page } = someone;
  someone.guard.expects(400, 422);
  await signIn(someone);
  await contactsOf(someone);
  await page.getByLabel('Where should the digits go?').selectOption({ label: 'Text message' });
  for (const refused of ['0151 23456789', '+49', 'call me', '+4915123456789\r\nBcc: x']) {
    await page.getByLabel('Phone number').fill(refused);
    await page.getByRole('button', { name: 'Send digits there' }).click();
    await page.locator('main [role="alert"]').filter({ hasText: 'Check how it is written' }).waitFor();
  }
  await page.getByLabel('Phone number').fill('+49 151 23456789');
  await page.getByRole('button', { name: 'Send digits there' }).click();
  await page.getByLabel('Digits from the message').waitFor();
  assert.ok(!(await page.locator('main').innerText()).includes('23456789'), 'the whole number is shown');
  await someone.check('Phone to confirm');
});

scenario('the secret of a webhook is shown once, for its owner to copy', async ({ person }) => {
  const someone = await person({ context: { permissions: ['clipboard-read', 'clipboard-write'] } });
  const { page } = someone;
  await signIn(someone);
  await contactsOf(someone);
  await page.getByLabel('Where should the digits go?').selectOption({ label: 'Webhook' });
  someone.guard.expects(400, 422);
  for (const refused of ['http://hooks.example.com/otp', 'https://127.0.0.1/otp', 'https://user:pw@hooks.example.com/']) {
    await page.getByLabel('Address of the webhook').fill(refused);
    await page.getByRole('button', { name: 'Send digits there' }).click();
    await page.locator('main [role="alert"]').filter({ hasText: 'Check how it is written' }).waitFor();
  }
  await page.getByLabel('Address of the webhook').fill('https://192.0.43.8/otp');
  await page.getByRole('button', { name: 'Send digits there' }).click();
  // No server of this machine has a public address: what the relayer says to the right digits is said for it here.
  const signingSecret = `whsec_${'a'.repeat(43)}`;
  await page.route(/\/v1\/contacts\/[^/]+\/confirm$/, async (route) => {
    const contactId = new URL(route.request().url()).pathname.split('/')[3];
    const contact = { contactId, channel: 'webhook', masked: 'https://192.0.43.8/***', proved: true, confirmed: true };
    await route.fulfill({ json: { ...contact, signingSecret } });
  });
  await page.getByLabel('Digits from the message').fill('123456');
  await page.getByTestId('signing-secret').waitFor();
  await someone.check('Secret of a webhook');
  await page.getByRole('button', { name: 'Copy', exact: true }).click();
  await someone.reads('Copied.');
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), signingSecret);
  await page.getByRole('button', { name: 'I have kept it' }).click();
  await page.getByTestId('signing-secret').waitFor({ state: 'detached' });
  assert.ok(!(await page.content()).includes(signingSecret), 'the secret stays in the page');
});

scenario('an account is deleted after a second question, by the digits of its contact', async ({ world, mailbox, person }) => {
  const someone = await depositor(world, person);
  const { page } = someone;
  await contactsOf(someone);
  await page.getByRole('button', { name: 'Delete this account …' }).click();
  await someone.check('Deletion asked for');
  await page.getByRole('button', { name: 'No, keep it' }).click();
  await page.getByRole('button', { name: 'Delete this account …' }).click();
  await page.getByRole('button', { name: 'Yes, delete it' }).click();
  await page.getByTestId('change').filter({ hasText: 'Delete this account' }).waitFor();
  const announced = await mailbox.take(someone.email, ({ text }) => /(?<!\d)\d{6}(?!\d)/.test(text));
  someone.guard.expects(401, 404);
  await page.getByLabel('Digits from the announcement').fill(/(?<!\d)\d{6}(?!\d)/.exec(announced.text)[0]);
  await someone.sees('sign-in');
  await page.getByTestId('ended').waitFor();
  await someone.check('Account deleted');
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await someone.sees('contacts');
  await someone.reads('You have no contact yet');
});
