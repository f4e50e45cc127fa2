// Answers of daemons that make no sense, and daemons that give none: a sentence says so, nothing is lost, nothing is
// rendered as markup.

import { scenario } from './harness/scenario.mjs';
import { failure, survives } from './harness/hostile.mjs';
import { connect, signIn } from './harness/steps.mjs';

scenario('a relayer whose configuration makes no sense is told in words, and asked again', async ({ person }) => {
  const someone = await person({ path: null });
  const { page } = someone;
  await survives(someone, /\/v1\/config$/, async () => {
    await someone.open('/');
    await failure(page).waitFor();
  });
  await someone.check('Service cannot be reached', { picture: 'light' });
  await page.getByRole('button', { name: 'Try again' }).click();
  await someone.sees('connect');
});

scenario('a sign-in whose answers make no sense is no sign-in', async ({ person }) => {
  const someone = await person();
  const { page } = someone;
  await connect(someone);
  await someone.sees('sign-in');
  for (const path of [/\/v1\/auth\/nonce$/, /\/v1\/auth\/login$/]) {
    await survives(someone, path, async () => {
      await page.reload();
      await someone.sees('sign-in');
      await page.getByRole('button', { name: 'Sign in', exact: true }).click();
      await failure(page).waitFor();
      await someone.sees('sign-in');
    });
  }
  await page.reload();
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await someone.sees('home');
});

scenario('lists that make no sense are told', async ({ person }) => {
  const someone = await person();
  await signIn(someone);
  for (const [path, view] of [[/\/v1\/contacts$/, '?view=contacts'], [/\/v1\/otps$/, ''], [/\/v1\/contact-changes$/, '?view=contacts']]) {
    await survives(someone, path, async () => {
      await someone.open(`/${view}`);
      await failure(someone.page).waitFor();
    });
  }
});

scenario('a relayer that never answers is told after a while', async ({ person }) => {
  const someone = await person({ path: null });
  const { page } = someone;
  await page.clock.install();
  const held = [];
  await someone.context.route(/\/v1\/config$/, (route) => void held.push(route));
  await someone.open('/');
  await page.clock.fastForward(25_000);
  await failure(page).waitFor();
  await someone.context.unroute(/\/v1\/config$/);
  await page.getByRole('button', { name: 'Try again' }).click();
  await someone.sees('connect');
});
