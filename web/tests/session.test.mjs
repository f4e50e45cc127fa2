// Wallets, and the session: how it begins, and all the ways in which it ends.

import assert from 'node:assert/strict';

import { scenario } from './harness/scenario.mjs';
import { connect, signIn } from './harness/steps.mjs';
import { walletError } from './harness/wallet.mjs';

const alert = (page, text) => page.getByRole('alert').filter({ hasText: text });
const button = (page, name) => page.getByRole('button', { name, exact: true });

scenario('without a wallet the page says what is missing, and finds one that comes later', async ({ person }) => {
  const someone = await person({ wallets: [] });
  await someone.sees('connect');
  await someone.reads('no wallet that announces itself');
  await someone.check('No wallet');
  await someone.page.evaluate(() => {
    const info = { uuid: crypto.randomUUID(), name: 'Late Wallet', icon: '', rdns: 'test.late' };
    const provider = { request: async () => [], on() {}, removeListener() {} };
    dispatchEvent(new CustomEvent('eip6963:announceProvider', { detail: Object.freeze({ info, provider }) }));
  });
  await button(someone.page, 'Late Wallet').waitFor();
});

scenario('of two wallets the chosen one is asked, and the other never', async ({ person }) => {
  const someone = await person({ wallets: ['First Wallet', 'Second Wallet'] });
  const [first, second] = someone.wallets;
  await someone.sees('connect');
  await someone.check('Two wallets', { picture: 'light' });
  await connect(someone, second);
  await someone.sees('sign-in');
  await button(someone.page, 'Sign in').click();
  await someone.sees('home');
  assert.ok(second.asked.includes('personal_sign'));
  assert.deepEqual(first.asked, []);
});

scenario('the sign-in shows the very text that the wallet is asked to sign', async ({ person, stack }) => {
  const someone = await person();
  const { page, wallet } = someone;
  await connect(someone);
  await someone.sees('sign-in');
  const text = page.getByTestId('siwe').filter({ hasText: 'wants you to sign in' });
  await text.waitFor();
  await someone.check('Sign in', { picture: 'light' });
  let signed;
  wallet.override('personal_sign', ([bytes]) => {
    signed = Buffer.from(bytes.slice(2), 'hex').toString();
    throw walletError({ code: 4001, message: 'no' });
  });
  const shown = await text.innerText();
  await button(page, 'Sign in').click();
  await alert(page, /you said no/i).waitFor();
  assert.equal(signed, shown);
  assert.ok(signed.startsWith(`${new URL(stack.is.relayerUrl).host} wants you to sign in`), signed);
  await someone.check('Sign-in rejected');
  await button(page, 'Sign in').click();
  await someone.sees('home');
});

scenario('a wallet on another chain is offered the switch, which can be refused', async ({ chain, person }) => {
  const someone = await person();
  const { page, wallet } = someone;
  wallet.chainId = 1;
  await connect(someone);
  const offer = page.getByTestId('wrong-chain');
  await offer.waitFor();
  await someone.check('Another chain', { picture: 'light' });
  wallet.rejects('wallet_switchEthereumChain');
  await offer.getByRole('button').click();
  await alert(page, /you said no/i).waitFor();
  wallet.override('wallet_switchEthereumChain', () => {
    throw walletError({ code: 4902, message: 'Unrecognized chain' });
  });
  await offer.getByRole('button').click();
  await alert(page, /does not know/i).waitFor();
  await offer.getByRole('button').click();
  await offer.waitFor({ state: 'detached' });
  assert.equal(wallet.chainId, chain.id);
  await button(page, 'Sign in').click();
  await someone.sees('home');
});

scenario('another account ends the session in every tab', async ({ chain, person }) => {
  const someone = await person();
  await signIn(someone);
  const tab = await someone.newTab();
  await someone.sees('home', tab);
  someone.guard.expects(401);
  await someone.wallet.switchAccount(await chain.newAccount());
  await someone.sees('sign-in');
  await someone.sees('sign-in', tab);
  await someone.page.getByTestId('ended').waitFor();
  await someone.check('Ended by another account');
  await someone.page.reload();
  await someone.sees('sign-in');
});

scenario('another chain ends the session, and the way back is offered', async ({ person }) => {
  const someone = await person();
  await signIn(someone);
  await someone.wallet.switchChain(1);
  await someone.page.getByTestId('wrong-chain').waitFor();
  await someone.page.getByTestId('ended').waitFor();
});

scenario('a wallet that is locked ends the session', async ({ person }) => {
  const someone = await person();
  await signIn(someone);
  await someone.wallet.lock();
  await someone.sees('connect');
});

scenario('logging out ends the session in every tab and at the relayer', async ({ person }) => {
  const someone = await person();
  await signIn(someone);
  const { page } = someone;
  const tab = await someone.newTab();
  await someone.sees('home', tab);
  await someone.check('Signed in');
  const [cookie] = await someone.context.cookies();
  assert.ok(cookie.httpOnly && cookie.secure && cookie.sameSite === 'Strict', JSON.stringify(cookie));
  const out = page.waitForResponse(/\/v1\/auth\/logout$/);
  await page.getByRole('button', { name: 'Log out' }).click();
  assert.equal((await out).status(), 204);
  await someone.sees('sign-in');
  await someone.sees('sign-in', tab);
  const answer = await fetch(new URL('/v1/contacts', page.url()), { headers: { cookie: `${cookie.name}=${cookie.value}` } });
  assert.equal(answer.status, 401, 'the session lives on at the relayer');
});

scenario('a session that ended at the relayer ends on the page with the next call', async ({ person }) => {
  const someone = await person();
  await signIn(someone);
  someone.guard.expects(401);
  await someone.context.clearCookies();
  await someone.page.getByRole('link', { name: 'Contacts' }).click();
  await someone.sees('sign-in');
  await someone.page.getByTestId('ended').waitFor();
});

scenario('a session in which nobody does anything is warned of and ends', async ({ person }) => {
  const someone = await person({ path: null });
  const { page } = someone;
  await page.clock.install();
  await someone.open('/');
  await signIn(someone);
  await page.clock.fastForward('09:30');
  await page.getByTestId('ends-soon').waitFor();
  await someone.check('Ends soon', { picture: 'light' });
  await page.getByTestId('ends-soon').getByRole('button').click();
  await page.getByTestId('ends-soon').waitFor({ state: 'detached' });
  await page.clock.fastForward('04:00');
  await someone.sees('home');
  await page.clock.fastForward('07:00');
  await someone.sees('sign-in');
  await page.getByTestId('ended').waitFor();
});

scenario('a wallet that answers nonsense is told, and nothing of it is shown as markup', async ({ person }) => {
  const someone = await person();
  const { page, wallet } = someone;
  await someone.sees('connect');
  const nonsense = [
    [], ['<b id="pwned">'], null, 7, 'x'.repeat(100_000), [{}], [`0x${'0'.repeat(39)}`], { length: 1, 0: wallet.account.address },
  ];
  for (const accounts of nonsense) {
    wallet.override('eth_requestAccounts', () => accounts);
    await button(page, wallet.info.name).click();
    await alert(page, /wallet/i).waitFor();
  }
  await someone.check('Wallet that answers nonsense');
  for (const chainId of ['0x', null, '0xffffffffffffffffffff', {}, 'one']) {
    wallet.override('eth_chainId', () => chainId);
    await button(page, wallet.info.name).click();
    await alert(page, /wallet/i).waitFor();
  }
  await button(page, wallet.info.name).click();
  await someone.sees('sign-in');
  for (const signature of ['0x', null, {}, '<b id="pwned">', `0x${'00'.repeat(20_000)}`]) {
    wallet.override('personal_sign', () => signature);
    await button(page, 'Sign in').click();
    await alert(page, /wallet/i).waitFor();
  }
  someone.guard.expects(401);
  wallet.override('personal_sign', () => `0x${'11'.repeat(65)}`);
  await button(page, 'Sign in').click();
  await alert(page, /./).waitFor();
  await button(page, 'Sign in').click();
  await someone.sees('home');
});

scenario('a wallet that announces itself with markup and a foreign picture loads and runs nothing', async ({ person }) => {
  const someone = await person({ path: null });
  await someone.context.addInitScript(() => {
    addEventListener('eip6963:requestProvider', () => {
      const info = (more) => ({ uuid: crypto.randomUUID(), name: 'x', icon: '', rdns: 'evil.test', ...more });
      const provider = { request: async () => null, on() {}, removeListener() {} };
      const details = [
        { info: info({ name: '<b id="pwned">Evil</b>' }), provider },
        { info: info({ icon: 'https://evil.test/icon.png' }), provider },
        { info: info({ icon: 'javascript:alert(1)' }), provider },
        { info: info({ name: 'y'.repeat(100_000) }), provider },
        { info: null, provider }, { info: info({}) }, null, 7,
      ];
      details.forEach((detail) => dispatchEvent(new CustomEvent('eip6963:announceProvider', { detail })));
    });
  });
  await someone.open('/');
  await someone.sees('connect');
  assert.equal(await someone.page.locator('#pwned').count(), 0);
  await someone.check('Wallets that make no sense');
});

scenario('the page speaks German to whoever wants it, and keeps to it', async ({ person }) => {
  const someone = await person({ context: { locale: 'de-DE' } });
  const { page } = someone;
  await someone.sees('connect');
  assert.equal(await page.locator('html').getAttribute('lang'), 'de');
  await page.getByRole('button', { name: someone.wallet.info.name }).click();
  await someone.sees('sign-in');
  await someone.check('German', { picture: 'light' });
  await page.getByLabel('Sprache').selectOption('en');
  await button(page, 'Sign in').waitFor();
  await page.reload();
  await someone.sees('sign-in');
  assert.equal(await page.locator('html').getAttribute('lang'), 'en');
});

scenario('without scripts the page says what it needs', async ({ person }) => {
  const someone = await person({ context: { javaScriptEnabled: false } });
  const text = await someone.page.locator('body').innerText();
  assert.match(text, /JavaScript|script/i);
});

scenario('who wants less motion gets none', async ({ person }) => {
  const someone = await person({ context: { reducedMotion: 'reduce' } });
  await connect(someone);
  await someone.sees('sign-in');
  const moving = await someone.page.evaluate(() =>
    [...document.querySelectorAll('*')].filter((element) => {
      const { transitionDuration, animationDuration } = getComputedStyle(element);
      return [transitionDuration, animationDuration].some((text) => text.split(',').some((one) => parseFloat(one) > 0.011));
    }).length);
  assert.equal(moving, 0);
});
