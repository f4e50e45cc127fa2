// Answers about a code that make no sense.

import { scenario } from './harness/scenario.mjs';
import { MARKUP, failure, rendersNoMarkup, survives } from './harness/hostile.mjs';
import { askForWithdrawal, depositor, digitsInput, withDigits } from './harness/steps.mjs';

const RECIPIENT = '0x70997970C51812dc3A010C7d01b50e0d17dc79C8';

scenario('a code whose answers make no sense keeps what was typed', async ({ world, person }) => {
  const someone = await depositor(world, person);
  const { page } = someone;
  await askForWithdrawal(someone, RECIPIENT);
  const { digits } = await withDigits(world, someone);
  await digitsInput(someone).fill(digits.slice(0, 5));
  await survives(someone, /\/unlock$/, async () => {
    await digitsInput(someone).fill(digits.slice(0, 5));
    await digitsInput(someone).press('End');
    await page.keyboard.type(digits[5]);
    await page.getByRole('button', { name: 'Check the digits' }).click();
    await failure(page).waitFor();
    if ((await digitsInput(someone).inputValue()) !== digits) throw new Error('what was typed is lost');
  });
  await page.getByRole('button', { name: 'Check the digits' }).click();
  await someone.sees('verify');
});

scenario('a request whose fields are markup is shown as text', async ({ world, person }) => {
  const someone = await depositor(world, person);
  const { page } = someone;
  await askForWithdrawal(someone, RECIPIENT);
  await someone.sees('enter');
  await someone.context.route(/\/v1\/otps\/[0-9a-f-]{36}(\/events)?$/, async (route) => {
    if (route.request().url().endsWith('/events')) return route.abort('connectionreset');
    const answer = await route.fetch();
    const otp = await answer.json();
    otp.delivery.masked = MARKUP;
    otp.failure = MARKUP;
    return route.fulfill({ response: answer, json: otp });
  });
  someone.guard.expectsNetworkFailures();
  await page.reload();
  await page.getByText(MARKUP).first().waitFor();
  await rendersNoMarkup(page);
  await someone.check('Markup as text');
});
