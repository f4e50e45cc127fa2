// How long the pages take to load, from an empty cache: `node load.mjs [--json] [--repeats n]`. Medians in milliseconds from
// the click to the first paint and to the first view, and what went over the wire in bytes.

import { parseArgs } from 'node:util';

import { launch } from './harness/browser.mjs';
import { VIEWPORT } from './harness/state.mjs';
import { startStack } from './harness/stack.mjs';

const HELP = `usage: node load.mjs [--json] [--repeats n]

Loads both pages n times (7 unless told) from an empty cache, interleaved, from this machine and as over a slow phone:
150 ms there and back, 1.6 Mbit/s down, a processor four times slower (Lighthouse's "slow 4G").`;

const NETWORKS = {
  'this machine': {},
  'slow phone': { latency: 150, downloadThroughput: 1_600_000 / 8, uploadThroughput: 750_000 / 8, slower: 4 },
};

let options;
try {
  ({ values: options } = parseArgs({
    options: { json: { type: 'boolean' }, repeats: { type: 'string', default: '7' }, help: { type: 'boolean' } },
  }));
  if (!/^[1-9]\d{0,2}$/.test(options.repeats)) throw new Error('--repeats takes a number from 1 to 999');
} catch (error) {
  console.error(`${error.message}\n\n${HELP}`);
  process.exit(2);
}
if (options.help) {
  console.log(HELP);
  process.exit(0);
}
await measure(Number(options.repeats));

async function measure(repeats) {
  const stack = await startStack();
  const browser = await launch();
  const pages = { wallet: stack.is.relayerUrl, operations: stack.is.indexerUrl };
  const seen = [];
  try {
    for (let turn = 0; turn < repeats; turn += 1) {
      for (const [network, conditions] of Object.entries(NETWORKS)) {
        for (const [page, url] of Object.entries(pages)) seen.push({ page, network, ...(await load(browser, url, conditions)) });
      }
      process.stderr.write(`\r${turn + 1} of ${repeats}`);
    }
  } finally {
    process.stderr.write('\n');
    await browser.close();
    await stack.end();
  }
  tell(grouped(seen), repeats);
}

/** By page and network. */
function grouped(seen) {
  const groups = new Map();
  for (const one of seen) {
    const key = `${one.page} ${one.network}`;
    groups.set(key, [...(groups.get(key) ?? []), one]);
  }
  return [...groups.values()];
}

/** One load in a browser context of its own, whose cache is empty. */
async function load(browser, url, { slower, ...conditions }) {
  const context = await browser.newContext({ viewport: VIEWPORT });
  try {
    const page = await context.newPage();
    await page.addInitScript(() => {
      new MutationObserver((_, observer) => {
        if (!document.querySelector('main[data-view]')) return;
        globalThis.__shownMs = performance.now();
        observer.disconnect();
      }).observe(document, { childList: true, subtree: true });
    });
    const devtools = await context.newCDPSession(page);
    if (slower) {
      await devtools.send('Network.enable');
      await devtools.send('Network.emulateNetworkConditions', { offline: false, ...conditions });
      await devtools.send('Emulation.setCPUThrottlingRate', { rate: slower });
    }
    await page.goto(url);
    await page.waitForFunction(() => globalThis.__shownMs !== undefined);
    return await page.evaluate(() => {
      const files = performance.getEntriesByType('resource').filter(({ initiatorType }) => initiatorType !== 'fetch');
      const all = [...performance.getEntriesByType('navigation'), ...files];
      return {
        paintMs: performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? NaN,
        viewMs: globalThis.__shownMs,
        bytes: all.reduce((sum, { transferSize }) => sum + transferSize, 0),
        requests: all.length,
      };
    });
  } finally {
    await context.close();
  }
}

function tell(groups, repeats) {
  const rows = groups.map((group) => {
    const median = (name) => Math.round(group.map((one) => one[name]).sort((a, b) => a - b)[Math.floor(group.length / 2)]);
    const { page, network } = group[0];
    return {
      page, network, firstPaintMs: median('paintMs'), firstViewMs: median('viewMs'), bytes: median('bytes'), requests: median('requests'),
    };
  });
  if (options.json) console.log(JSON.stringify({ repeats, rows }));
  else console.table(rows);
}
