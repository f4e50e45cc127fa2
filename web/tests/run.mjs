// The pages in a real browser: `node run.mjs [--screenshots] [part of a test's name]`.

import { readdir } from 'node:fs/promises';

import { register } from './harness/scenario.mjs';

// At once: the browser and the stack end with this process.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(1));

const files = (await readdir(new URL('.', import.meta.url))).filter((name) => name.endsWith('.test.mjs')).sort();
for (const file of files) await import(`./${file}`);
register(process.argv.slice(2).find((argument) => !argument.startsWith('--')));
