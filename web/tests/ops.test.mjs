// The page of those who run it, at the indexer's admin port, and of those who audit it, at its public one.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';

import { encodeFunctionData, keccak256, parseAbi, stringToHex, zeroHash } from 'viem';

import { signIn, withMailbox } from './harness/api.mjs';
import { failure, survives } from './harness/hostile.mjs';
import { scenario, scenarioAlone } from './harness/scenario.mjs';
import { until } from './harness/until.mjs';

const TIMELOCK = parseAbi([
  'function schedule(address target, uint256 value, bytes data, bytes32 predecessor, bytes32 salt, uint256 delay)',
  'function getMinDelay() view returns (uint256)',
  'function setPolicy(bytes32 purpose, (uint32 ttl, uint16 grace, uint8 maxAttempts, bool enabled) policy)',
]);

const search = (page) => page.getByRole('search').getByRole('textbox');

/** A code that was delivered, as its owner sees it. */
async function deliveredCode(world, someone) {
  const contactId = await withMailbox(world, someone);
  const api = await signIn(world, someone.account);
  const { id } = await api.ask({ purpose: 'login', contactId });
  return until('a delivered code', async () => {
    const otp = await api.call('GET', `/v1/otps/${id}`);
    return otp.status === 'delivered' && otp;
  });
}

async function openAdmin(world, someone) {
  // Which of the two ports it is on, the page learns by asking.
  someone.guard.expects(401);
  await someone.open('/', world.stack.is.indexerAdminUrl);
  await someone.page.getByLabel('Admin token').fill(await world.stack.adminToken('indexer'));
  await someone.page.getByRole('button', { name: 'Open' }).click();
}

scenario('the admin port opens for its token alone', async ({ world, stack, person }) => {
  const someone = await person({ path: null });
  const { page } = someone;
  someone.guard.expects(401);
  await someone.open('/', stack.is.indexerAdminUrl);
  await someone.sees('token');
  await someone.check('Admin token');
  await page.getByLabel('Admin token').fill('guess');
  await page.getByRole('button', { name: 'Open' }).click();
  await page.getByRole('alert').filter({ hasText: '64 characters' }).waitFor();
  await page.getByLabel('Admin token').fill('0'.repeat(64));
  await page.getByRole('button', { name: 'Open' }).click();
  await page.getByRole('alert').filter({ hasText: 'not the token' }).waitFor();
  await openAdmin(world, someone);
  await someone.sees('figures');
  await page.getByText('Codes', { exact: true }).first().waitFor();
  await someone.check('Figures', { picture: 'light' });
  await page.getByRole('link', { name: 'Operations' }).click();
  await page.getByText('Blocks behind the head').waitFor();
  await someone.check('Operations', { picture: 'light' });
  await page.getByRole('button', { name: 'Forget the token' }).click();
  await someone.sees('token');
});

scenario('from whatever somebody has in hand the search leads to the story of a code', async ({ world, person }) => {
  const someone = await person({ path: null });
  const { page } = someone;
  const otp = await deliveredCode(world, someone);
  await openAdmin(world, someone);
  await page.getByRole('link', { name: 'Search' }).click();
  await someone.sees('search');
  for (const known of [otp.onChainId, otp.id, otp.txHash, someone.account.address, String(otp.serial)]) {
    await search(page).fill(known);
    await search(page).press('Enter');
    const story = page.getByRole('heading', { name: `Code ${otp.serial}`, exact: true });
    await story.or(page.getByRole('button', { name: /^Open code/ }).first()).waitFor();
  }
  const wallets = page.waitForRequest((request) => request.postData()?.includes(someone.account.address));
  await page.route('**/v1/search', async (route) => {
    const isSlow = route.request().postData().includes(someone.account.address);
    if (isSlow) await page.waitForResponse((answer) => answer.request().postData()?.includes(otp.onChainId));
    await route.continue();
  });
  await search(page).fill(someone.account.address);
  await search(page).press('Enter');
  await wallets;
  const late = page.waitForResponse((answer) => answer.request().postData()?.includes(someone.account.address));
  await search(page).fill(otp.onChainId);
  await search(page).press('Enter');
  await late;
  await page.waitForTimeout(500);
  await page.getByText(otp.reference).waitFor();
  const text = await page.locator('main').innerText();
  assert.ok(text.includes('Code issued') && text.includes('agrees'), text);
  assert.ok(!text.includes('does not agree') && !text.includes(someone.email), text);
  await someone.check('Story of a code', { picture: 'light' });
  const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Save as JSON' }).click()]);
  assert.ok((await readFile(await file.path(), 'utf8')).includes(otp.onChainId));
  const [table] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Save as CSV' }).click()]);
  assert.ok((await readFile(await table.path(), 'utf8')).includes(otp.onChainId));
  await search(page).fill('<b id="pwned">');
  await search(page).press('Enter');
  await page.getByRole('alert').filter({ hasText: 'none of these' }).waitFor();
  assert.equal(await page.locator('#pwned').count(), 0);
});

scenario('a search that is the first thing asked finds out by itself which port it is on', async ({ world, stack, person }) => {
  const someone = await person({ path: null });
  const { page } = someone;
  await openAdmin(world, someone);
  // A figure that is on its way when the view is left tells nothing any more.
  await page.route(/\/v1\/series/, () => {});
  await page.reload();
  await page.getByRole('link', { name: 'Search' }).click();
  await page.getByRole('button', { name: 'Forget the token' }).waitFor();
  await search(page).fill(someone.account.address);
  await search(page).press('Enter');
  await someone.reads('Nothing is known of this');
  await page.getByRole('button', { name: 'Forget the token' }).click();
  await page.goto('about:blank');
  await someone.open('/#search', stack.is.indexerAdminUrl);
  await someone.sees('token');
});

scenario('who audits sees the same without persons', async ({ world, stack, person }) => {
  const someone = await person({ path: null });
  const { page } = someone;
  const otp = await deliveredCode(world, someone);
  const told = [];
  page.on('response', async (answer) => {
    if (answer.url().includes('/v1/')) told.push(await answer.text().catch(() => ''));
  });
  await someone.open('/', stack.is.indexerUrl);
  await someone.sees('figures');
  await page.getByText('Codes', { exact: true }).first().waitFor();
  await someone.check('Figures for auditors');
  await someone.open('/#search', stack.is.indexerUrl);
  await search(page).fill(otp.onChainId);
  await search(page).press('Enter');
  await page.getByRole('heading', { name: `Code ${otp.serial}`, exact: true }).waitFor();
  await someone.check('Story for auditors');
  await search(page).fill(someone.account.address);
  await search(page).press('Enter');
  await page.getByRole('alert').filter({ hasText: 'none of these' }).waitFor();
  assert.equal(await page.getByRole('link', { name: 'Operations' }).count(), 0);
  const all = told.join('\n').toLowerCase();
  for (const personal of [someone.email, otp.delivery.masked, otp.id, someone.account.address, `"${otp.reference}"`]) {
    assert.ok(!all.includes(personal.toLowerCase()), `the public port tells ${personal}`);
  }
});

scenario('governance is told in words', async ({ stack, person }) => {
  const someone = await person({ path: null });
  const { page } = someone;
  await someone.open('/#governance', stack.is.indexerUrl);
  await page.getByRole('rowheader', { name: 'withdraw' }).waitFor();
  await page.getByText('Codes are issued and taken').waitFor();
  await page.getByText(new RegExp(stack.is.issuer.slice(0, 6), 'i')).first().waitFor();
  await someone.check('Governance', { picture: 'light' });
});

scenarioAlone('what waits in the timelock is told by what it would change, and what cannot be told is not', async ({ stack, chain, person }) => {
  const purpose = stringToHex('withdraw', { size: 32 });
  const policy = { ttl: 45, grace: 0, maxAttempts: 2, enabled: true };
  const delay = await chain.public.readContract({ address: stack.is.timelock, abi: TIMELOCK, functionName: 'getMinDelay' });
  const propose = async (to, data, salt) => {
    const args = [to, 0n, data, zeroHash, keccak256(stringToHex(salt)), delay];
    await chain.sendAs(stack.is.safe, {
      to: stack.is.timelock, data: encodeFunctionData({ abi: TIMELOCK, functionName: 'schedule', args }),
    });
  };
  await propose(stack.is.verifier, encodeFunctionData({ abi: TIMELOCK, functionName: 'setPolicy', args: [purpose, policy] }), '1');
  await propose(stack.is.vault, stringToHex('<b id="pwned">'), '2');
  // The queue is read from final blocks, which are two epochs behind.
  await chain.test.mine({ blocks: 70 });
  const someone = await person({ path: null });
  const { page } = someone;
  await until('the proposals', async () => {
    const told = await (await fetch(new URL('/v1/governance', stack.is.indexerUrl))).json();
    return told.timelock.operations.length === 2;
  });
  await someone.open('/#governance', stack.is.indexerUrl);
  const proposals = page.getByRole('listitem').filter({ hasText: 'Can be executed from' });
  await proposals.filter({ hasText: '45 s (now 60 s)' }).filter({ hasText: '2 (now 3)' }).waitFor();
  await proposals.filter({ hasText: 'no call of governance that is known here' }).waitFor();
  assert.equal(await page.locator('#pwned').count(), 0);
  await someone.check('Proposals', { picture: 'light' });
});

scenario('an indexer whose figures make no sense is told in words', async ({ stack, person }) => {
  const someone = await person({ path: null });
  await survives(someone, /\/v1\/series/, async () => {
    await someone.open('/', stack.is.indexerUrl);
    await failure(someone.page).waitFor();
  });
});
