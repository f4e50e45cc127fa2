// The real stack, as `testbed up` brings it up: it ends with this process, however that ends, since it reads its orders
// from a pipe of ours.

import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export const CHECKOUT = join(dirname(fileURLToPath(import.meta.url)), '../../..');
const TESTBED = process.env.TESTBED ?? join(CHECKOUT, 'target/debug/testbed');

/** Brings a stack up, with `env` beside its daemons' own, and resolves once it is ready. */
export async function startStack(env = {}) {
  const scratch = process.env.STACK_DIR ? null : await mkdtemp(join(tmpdir(), 'otp-pages-'));
  const folder = process.env.STACK_DIR || join(scratch, 'stack');
  const child = spawn(TESTBED, ['up', '--control', '--dir', folder], {
    cwd: CHECKOUT,
    env: { ...process.env, ...env },
    stdio: ['pipe', 'pipe', 'inherit'],
    // Ctrl-C goes to us alone; the stack then ends with our pipe.
    detached: true,
  });
  const stack = new Stack(child, folder, scratch);
  await stack.isUp();
  return stack;
}

export class Stack {
  #child;
  #scratch;
  #lines;
  #waiting = [];
  #ended;

  constructor(child, folder, scratch) {
    this.#child = child;
    this.#scratch = scratch;
    this.folder = folder;
    this.#lines = createInterface({ input: child.stdout });
    this.#lines.on('line', (line) => {
      this.#waiting = this.#waiting.filter((wait) => !wait(line));
    });
    this.#ended = new Promise((resolve) => {
      child.once('error', (error) => resolve(`testbed does not start: ${error.message}`));
      child.once('exit', (code, signal) => resolve(`testbed ended with ${code ?? signal}`));
    });
  }

  /** Ends a daemon, politely. */
  stop(daemon) {
    return this.#order(`stop ${daemon}`);
  }

  /** Starts a daemon that was stopped, and waits until it is ready. */
  start(daemon) {
    return this.#order(`start ${daemon}`);
  }

  /** The bearer token of a daemon's admin port. */
  async adminToken(daemon) {
    return (await readFile(join(this.folder, `data/${daemon}-admin.token`), 'utf8')).trim();
  }

  async end() {
    this.#child.stdin.end();
    await this.#ended;
    this.#lines.close();
    if (this.#scratch) await rm(this.#scratch, { recursive: true, force: true });
  }

  async #order(order) {
    const done = this.#says((line) => line === `done: ${order}`);
    this.#child.stdin.write(`${order}\n`);
    await done;
  }

  async isUp() {
    await this.#says((line) => line.trimStart().startsWith('all of it'));
    this.is = JSON.parse(await readFile(join(this.folder, 'stack.json'), 'utf8'));
    /** What a page may talk to. */
    this.origins = [this.is.relayerUrl, this.is.indexerUrl, this.is.indexerAdminUrl].map((url) => new URL(url).origin);
  }

  #says(wanted) {
    const said = new Promise((resolve) => {
      this.#waiting.push((line) => {
        if (!wanted(line)) return false;
        resolve();
        return true;
      });
    });
    const ended = this.#ended.then((how) => {
      throw new Error(how);
    });
    return Promise.race([said, ended]);
  }
}
