// Answers that no daemon of ours gives, but that something between page and daemon may.

export const MARKUP = '<img src="x" onerror="document.title=\'pwned\'"><b id="pwned">pwned</b>';

/** By name: what `route.fulfill` takes, or `abort`. */
export const HOSTILE = {
  'HTML instead of JSON': { status: 200, contentType: 'text/html', body: `<h1>Welcome</h1>${MARKUP}` },
  'JSON of another shape': { status: 200, contentType: 'application/json', body: '[{"status":{"a":[]}},true,null]' },
  'nothing at all': { status: 200, contentType: 'application/json', body: '' },
  'a number': { status: 200, contentType: 'application/json', body: '1e309' },
  'a huge body': { status: 200, contentType: 'application/json', body: `{"items":"${'a'.repeat(4_000_000)}"}` },
  '500 without JSON': { status: 500, contentType: 'text/html', body: MARKUP },
  'a problem with markup': {
    status: 400,
    contentType: 'application/problem+json',
    body: JSON.stringify({
      type: '/problems/bad-request', title: MARKUP, status: 400, detail: MARKUP, requestId: MARKUP,
    }),
  },
  'a connection that breaks': { abort: 'connectionreset' },
};

/** Each hostile answer to `path` while `act` is done: no markup of it. Afterwards all is well again. */
export async function survives(person, path, act) {
  for (const [name, answer] of Object.entries(HOSTILE)) {
    const end = await answers(person, path, answer);
    try {
      await act();
      await rendersNoMarkup(person.page);
    } catch (cause) {
      throw new Error(`${path} answered with ${name}: ${cause.message}`, { cause });
    } finally {
      await end();
    }
  }
}

/** A sentence that says that something went wrong. */
export function failure(page) {
  return page.locator('main [role="alert"]').filter({ hasText: /\S/ }).first();
}

/** From now on, `path` (a regular expression of the URL) is answered by `answer`; resolves to what ends that. */
async function answers(person, path, answer) {
  person.guard.expects(400, 500);
  person.guard.expectsNetworkFailures();
  const handler = (route) => (answer.abort ? route.abort(answer.abort) : route.fulfill(answer));
  await person.context.route(path, handler);
  return () => person.context.unroute(path, handler);
}

/** Throws where something was rendered as markup. */
export async function rendersNoMarkup(page) {
  const found = await page.evaluate(() => document.title === 'pwned' || document.querySelector('#pwned') !== null);
  if (found) throw new Error('text of a stranger was rendered as markup');
}
