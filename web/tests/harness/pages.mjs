// While pages are written: the documents and what they load come from a folder as web/dist, with the headers that core/src/http/pages.rs
// gives them, so that a change needs no new daemon. PAGES_FROM names the folder.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { CHECKOUT } from './stack.mjs';

const TYPES = { html: 'text/html; charset=utf-8', js: 'text/javascript', css: 'text/css', svg: 'image/svg+xml' };
const DOCUMENTS = { '/': 'wallet.html', '/verify': 'wallet.html', '/ops': 'ops.html' };

export async function servePagesFromDist(context, stack) {
  const ofIndexer = [stack.is.indexerAdminUrl, stack.is.indexerUrl].map((url) => new URL(url).origin);
  const source = await readFile(join(CHECKOUT, 'core/src/http/pages.rs'), 'utf8');
  const policy = /const POLICY.*?"(.*?)",\n\)/s.exec(source)[1].replaceAll(/\\\n\s*/g, '');
  await context.route(/^[^?#]*:\d+\/(verify|ops|assets\/[^/]+)?([?#].*)?$/, async (route) => {
    const url = new URL(route.request().url());
    let file = DOCUMENTS[url.pathname] ?? url.pathname.slice(1);
    if (url.pathname === '/' && ofIndexer.includes(url.origin)) file = 'ops.html';
    const body = await readFile(join(process.env.PAGES_FROM, file)).catch(() => null);
    if (body === null) return route.fulfill({ status: 404 });
    return route.fulfill({
      status: 200,
      headers: {
        'content-type': TYPES[file.split('.').pop()],
        'content-security-policy': policy,
        'referrer-policy': 'no-referrer',
        'cross-origin-opener-policy': 'same-origin',
      },
      body,
    });
  });
}
