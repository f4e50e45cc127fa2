// The pages behind the links of messages that need no wallet: "this was not me", and cancelling a change.

import assert from 'node:assert/strict';

import { signIn, withMailbox } from './harness/api.mjs';
import { scenario } from './harness/scenario.mjs';
import { until } from './harness/until.mjs';

scenario('the link "this was not me" does nothing until it is pressed, then locks the code', async ({ world, person }) => {
  const someone = await person({ path: null });
  const contactId = await withMailbox(world, someone);
  const api = await signIn(world, someone.account);
  const code = await api.ask({ purpose: 'login', contactId });
  const { text } = await world.mailbox.code(someone.email);
  const link = /https?:\/\/\S+\/report#v1\.[\w-]+/.exec(text)?.[0];
  assert.ok(link, `no link in the mail:\n${text}`);

  const { page } = someone;
  await page.goto(link);
  assert.equal(new URL(page.url()).hash, '', 'the token stays in the address bar');
  await someone.check('This was not me');
  await until('the code delivered', async () => (await api.call('GET', `/v1/otps/${code.id}`)).status === 'delivered');
  await someone.press(page.getByRole('button', { name: 'Lock the code' }));
  await someone.reads(/The code is locked/);
  await someone.check('This was not me, done');
  await assert.rejects(api.call('GET', `/v1/otps/${code.id}`), /401/, 'the sessions live on');
});

scenario('a link "this was not me" that was cut says so', async ({ person }) => {
  for (const path of ['/report', '/report#v1.eyJpZCI6', '/cancel#v1.%F0%9F%92%A9', '/cancel#v9.AAAA']) {
    const someone = await person({ path });
    await someone.reads('The link is not complete');
    await someone.check('Link that was cut');
  }
});
