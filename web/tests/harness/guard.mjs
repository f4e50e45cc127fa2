// What no page may do, in any test: an error on the console or in a script, a report of the Content-Security-Policy, a
// request to somewhere else.

/** A status that a daemon answers on purpose is an error on Chromium's console; its tests name it. */
const STATUS = /^Failed to load resource: the server responded with a status of (\d{3})/;
/** As is a connection that is refused, broken off or cut by a test. */
const NETWORK = /^Failed to load resource: net::ERR_/;

export class Guard {
  #faults = [];
  #statuses = new Set();
  #networkMayFail = false;

  /** @param {string[]} origins what pages may talk to */
  constructor(origins) {
    this.origins = origins;
  }

  /** Watches every page of a context from its start. */
  async watch(context) {
    await context.exposeBinding('__tellViolation', (_, what) => this.#fault('CSP', what));
    await context.addInitScript(() => {
      const tell = globalThis.__tellViolation;
      addEventListener('securitypolicyviolation', (event) => {
        void tell(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber} ${event.sample}`);
      });
    });
    context.on('request', (request) => this.#request(request));
    context.on('weberror', (it) => this.#fault('script', String(it.error().stack ?? it.error())));
    context.on('console', (message) => {
      if (message.type() === 'error') this.#console(message.text(), message.location().url);
    });
  }

  /** These answers of a daemon are part of the test. */
  expects(...statuses) {
    statuses.forEach((status) => this.#statuses.add(status));
  }

  /** That a daemon cannot be reached is part of the test. */
  expectsNetworkFailures() {
    this.#networkMayFail = true;
  }

  /** Throws where a page did what it may not. */
  check() {
    if (this.#faults.length === 0) return;
    const faults = this.#faults.splice(0).map(({ kind, what }) => `${kind}: ${what}`);
    throw new Error(`the page did what it may not:\n  ${faults.join('\n  ')}`);
  }

  #fault(kind, what) {
    this.#faults.push({ kind, what });
  }

  #request(request) {
    const url = new URL(request.url());
    if (url.protocol === 'data:' || url.protocol === 'blob:' || url.protocol === 'about:') return;
    if (!this.origins.includes(url.origin)) this.#fault('request', `${request.method()} ${request.url()}`);
  }

  #console(text, url) {
    const status = STATUS.exec(text)?.[1];
    if (status && this.#statuses.has(Number(status))) return;
    if (NETWORK.test(text) && this.#networkMayFail) return;
    this.#fault('console', `${text} ${url}`);
  }
}
