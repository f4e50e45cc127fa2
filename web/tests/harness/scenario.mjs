// Tests as the files beside declare them: those that disturb nobody run side by side, the others after them, alone.

import { after, before, describe, it } from 'node:test';

import { Chain } from './chain.mjs';
import { launch } from './browser.mjs';
import { Mailbox } from './mailbox.mjs';
import { World } from './person.mjs';
import { CHECKOUT, startStack } from './stack.mjs';

/** Two cores: a page, a chain and two daemons leave no more. */
const SIDE_BY_SIDE = 3;
const LIMIT_MS = 120_000;
/** All that there are can be added, though what carries texts and calls webhooks is not on this machine. */
const CHANNELS = { OTP_RELAYER_CONTACTS_CHANNELS: 'email,sms,webhook,inapp' };
const together = [];
const alone = [];

/** Declares a test; `run` gets a function that makes people, and the world. */
export function scenario(name, run) {
  together.push({ name, run });
}

/** A test that moves the chain's time or takes a daemon away. */
export function scenarioAlone(name, run) {
  alone.push({ name, run });
}

/** Registers what was declared; `only` is a part of the name of those that run. */
export function register(only = '') {
  let world;
  before(async () => {
    world = await open();
  });
  after(async () => {
    await world?.close();
  });
  const wanted = (tests) => tests.filter(({ name }) => name.includes(only));
  const declare = ({ name, run }) => it(name, { timeout: LIMIT_MS }, () => play(world, name, run));
  describe('side by side', { concurrency: SIDE_BY_SIDE }, () => wanted(together).forEach(declare));
  describe('one after the other', () => wanted(alone).forEach(declare));
}

async function open() {
  const browser = await launch();
  const stack = await startStack(CHANNELS).catch(async (error) => {
    await browser.close();
    throw error;
  });
  const world = new World({ stack, chain: new Chain(stack), mailbox: new Mailbox(stack.is.mailUrl), browser });
  world.close = async () => {
    await browser.close();
    await stack.end();
  };
  return world;
}

async function play(world, name, run) {
  const people = [];
  const person = async (options) => {
    const one = await world.person(options);
    people.push(one);
    return one;
  };
  try {
    await run({ ...world, world, person });
    people.forEach((one) => one.guard.check());
  } catch (error) {
    await keepPictures(people, name);
    throw error;
  } finally {
    for (const one of people) await one.leave();
  }
}

/** What a person saw when a test failed, beside the logs of all tests. */
async function keepPictures(people, name) {
  for (const [at, { page }] of people.entries()) {
    const path = `${CHECKOUT}/target/test/browser/${name.slice(0, 80).replaceAll(/\W+/g, '-')}-${at}.png`;
    await page.screenshot({ path, fullPage: true }).catch(() => {});
  }
}
