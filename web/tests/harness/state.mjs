// A state of a page, held to what each has to be: no violation that axe-core finds, in light and dark; nothing to scroll
// sideways at 320 px, at 200 % zoom, with text of twice the size, or from right to left. Where screenshots are made, its
// picture is taken.

import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';

import { small } from './png.mjs';
import { CHECKOUT } from './stack.mjs';

const AXE = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
export const SCREENSHOTS = process.argv.includes('--screenshots') ? join(CHECKOUT, 'docs/screenshots') : null;
/** What the pictures and most tests see; 200 % zoom of 1280 px is 640 px. */
export const VIEWPORT = { width: 800, height: 900 };
const ZOOMED = { width: 640, height: 480 };
const NARROW = { width: 320, height: 640 };

/** Checks what `page` shows now under the name of this state; `picture` is `light` or `dark` where it is in the documents. */
export async function checkState(page, name, { picture } = {}) {
  await page.emulateMedia({ colorScheme: 'light' });
  await settled(page);
  if (SCREENSHOTS && picture) await photograph(page, name, picture);
  await axe(page, `${name}, light`);
  await page.emulateMedia({ colorScheme: 'dark' });
  await settled(page);
  await axe(page, `${name}, dark`);
  await page.emulateMedia({ colorScheme: 'light' });
  await fits(page, name);
}

async function axe(page, name) {
  const violations = await page.evaluate(
    async ([source, tags]) => {
      if (!globalThis.axe) globalThis.eval(source);
      const { violations } = await globalThis.axe.run(document, {
        runOnly: { type: 'tag', values: tags },
        resultTypes: ['violations'],
        preload: false,
      });
      return violations.map(({ id, help, nodes }) => ({
        id,
        help,
        nodes: nodes.slice(0, 3).map(({ target, failureSummary }) => `${target.join(' ')} — ${failureSummary}`),
      }));
    },
    [AXE, TAGS],
  );
  if (violations.length === 0) return;
  const told = violations.map(({ id, help, nodes }) => `${id}: ${help}\n    ${nodes.join('\n    ')}`);
  throw new Error(`axe-core on "${name}":\n  ${told.join('\n  ')}`);
}

async function fits(page, name) {
  const before = page.viewportSize();
  for (const [how, viewport, change] of [
    ['at 320 px', NARROW, {}],
    ['at 320 px from right to left', NARROW, { dir: 'rtl' }],
    ['at 200 % zoom', ZOOMED, {}],
    ['with text of 200 %', ZOOMED, { fontSize: '200%' }],
  ]) {
    await page.setViewportSize(viewport);
    const wide = await page.evaluate(widest, change);
    if (wide) throw new Error(`"${name}" scrolls sideways ${how}: ${wide}`);
  }
  await page.setViewportSize(before);
}

/** Runs in the page: what reaches out at the side, if the page can be scrolled there. */
function widest({ dir = '', fontSize = '' }) {
  const root = document.documentElement;
  const former = { dir: root.dir, fontSize: root.style.fontSize };
  if (dir) root.dir = dir;
  if (fontSize) root.style.fontSize = fontSize;
  try {
    if (root.scrollWidth <= root.clientWidth) return null;
    const out = [...document.querySelectorAll('body *')].filter((element) => {
      const { left, right } = element.getBoundingClientRect();
      return right > root.clientWidth + 1 || left < -1;
    });
    const named = out.slice(0, 4).map((element) => `${element.tagName.toLowerCase()}.${element.className}`);
    return `${root.scrollWidth} > ${root.clientWidth}, by ${named.join(', ')}`;
  } finally {
    root.dir = former.dir;
    root.style.fontSize = former.fontSize;
  }
}

/** Transitions are over: colours in midst of one are no state. */
async function settled(page) {
  await page.evaluate(async () => {
    await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
    const ending = document.getAnimations().filter((a) => a.effect?.getComputedTiming().endTime !== Infinity);
    await Promise.allSettled(ending.map((animation) => animation.finished));
  });
}

async function photograph(page, name, colorScheme) {
  await mkdir(SCREENSHOTS, { recursive: true });
  const path = join(SCREENSHOTS, `${name.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')}.png`);
  await page.emulateMedia({ colorScheme });
  await settled(page);
  await writeFile(path, small(await page.screenshot({ fullPage: true, animations: 'disabled', caret: 'hide' })));
  await page.emulateMedia({ colorScheme: 'light' });
}
