// Somebody with a wallet, a mailbox and a browser of their own.

import { Guard } from './guard.mjs';
import { servePagesFromDist } from './pages.mjs';
import { VIEWPORT, checkState } from './state.mjs';
import { until } from './until.mjs';
import { Wallet } from './wallet.mjs';

/** An action may wait for a block, a mail, or a machine that does much else. */
const PATIENCE_MS = 30_000;

/** What all tests share. */
export class World {
  constructor({ stack, chain, mailbox, browser }) {
    Object.assign(this, { stack, chain, mailbox, browser });
  }

  /**
   * A new person.
   * @param {object} options `wallets`: names of announced wallets, none for a browser without; `context`: options of the
   *   browser's context, such as locale; `ether`: what the account has; `path`: where the page is opened, null for nowhere
   */
  async person({ wallets = ['Test Wallet'], context: options = {}, ether, path = '/', base } = {}) {
    const account = await this.chain.newAccount(ether);
    const guard = new Guard(this.stack.origins);
    const context = await this.browser.newContext({ viewport: VIEWPORT, ...options });
    context.setDefaultTimeout(PATIENCE_MS);
    await guard.watch(context);
    if (process.env.PAGES_FROM) await servePagesFromDist(context, this.stack);
    const installed = wallets.map((name, at) => new Wallet(this.chain, [account], { name, rdns: `test.wallet${at}` }));
    await Wallet.install(context, installed);
    const page = await context.newPage();
    const person = new Person({ world: this, account, guard, context, page, wallets: installed });
    if (path !== null) await person.open(path, base);
    return person;
  }
}

export class Person {
  constructor(parts) {
    Object.assign(this, parts);
    this.wallet = this.wallets[0];
    this.email = `person-${this.account.address.slice(2, 10).toLowerCase()}@example.test`;
  }

  /** Opens a page at a daemon, the relayer unless another one is named. */
  async open(path, base = this.world.stack.is.relayerUrl) {
    await this.page.goto(new URL(path, base).href);
  }

  /** Another tab of the same browser. */
  async newTab(path = '/') {
    const tab = await this.context.newPage();
    await tab.goto(new URL(path, this.page.url()).href);
    return tab;
  }

  /** The view that is shown, by its name. */
  view(name) {
    return this.page.locator(`main[data-view="${name}"]`);
  }

  /** Waits until a view is shown. */
  async sees(name, page = this.page) {
    try {
      await page.locator(`main[data-view="${name}"]`).waitFor();
    } catch (cause) {
      const shown = await page.locator('main').allInnerTexts().catch(() => []);
      throw new Error(`expected the view "${name}", the page shows: ${shown.join(' | ').slice(0, 600)}`, { cause });
    }
  }

  /** Waits until a text is shown. */
  async reads(text, page = this.page) {
    try {
      await page.getByText(text).first().waitFor();
    } catch (cause) {
      const shown = await page.locator('main').allInnerTexts().catch(() => []);
      throw new Error(`expected "${text}", the page shows: ${shown.join(' | ').slice(0, 600)}`, { cause });
    }
  }

  /** Holds what is shown to what each state has to be. */
  async check(name, options) {
    await checkState(options?.page ?? this.page, name, options);
    this.guard.check();
  }

  /** Tab, until it is on something: what somebody does who has no mouse. */
  async tabTo(locator, { most = 60 } = {}) {
    await locator.waitFor();
    for (let pressed = 0; pressed <= most; pressed += 1) {
      if (await locator.evaluate((element) => element === document.activeElement)) return;
      await this.page.keyboard.press('Tab');
    }
    throw new Error(`${locator} is not reached by ${most} tabs`);
  }

  /** Goes to something by keyboard and presses Enter. */
  async press(locator) {
    await this.tabTo(locator);
    await this.page.keyboard.press('Enter');
  }

  /** Goes to a field by keyboard and types. */
  async type(locator, text) {
    await this.tabTo(locator);
    await this.page.keyboard.type(text);
  }

  until = until;

  async leave() {
    await this.context.close();
  }
}
