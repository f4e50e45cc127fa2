// Builds the pages into dist/: wallet.html, ops.html and assets/, each beside its gzip form. The daemons embed what is
// there. Files whose contents stay are not written, so that cargo compiles nothing anew for them.
import { createHash } from "node:crypto";
import { Buffer } from "node:buffer";
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const HERE = dirname(fileURLToPath(import.meta.url));
const DIST = join(HERE, "dist");
/** What each page may weigh in all, gzip-compressed: everything that any of its paths loads, each language too. */
const MOST_BYTES = { wallet: 150 * 1024, ops: 150 * 1024 };
const PAGES = Object.keys(MOST_BYTES);
/** A page's template has it where its scripts and styles go. */
const PLACE = "<!-- assets -->";

const bundle = await build({
  absWorkingDir: HERE,
  entryPoints: [...PAGES.map((page) => ({ in: `src/${page}/main.tsx`, out: page })), "src/shared/icon.svg"],
  outdir: "dist/assets",
  entryNames: "[name]-[hash]",
  chunkNames: "[name]-[hash]",
  assetNames: "[name]-[hash]",
  bundle: true,
  splitting: true,
  format: "esm",
  target: "es2022",
  jsx: "automatic",
  jsxImportSource: "preact",
  loader: { ".svg": "copy" },
  define: { "process.env.NODE_ENV": '"production"' },
  legalComments: "none",
  minify: true,
  metafile: true,
  write: false,
  logLevel: "warning",
});

/** By path below dist/. */
const files = new Map(bundle.outputFiles.map((file) => [relative(DIST, file.path), Buffer.from(file.contents)]));
const outputs = new Map(Object.entries(bundle.metafile.outputs).map(([path, output]) => [relative("dist", path), output]));
const icon = [...files.keys()].find((path) => path.endsWith(".svg"));

/** All scripts that `path` loads: at once, or, with `lazy`, ever. */
function scripts(path, lazy, found = new Set()) {
  if (found.has(path)) return found;
  found.add(path);
  for (const imported of outputs.get(path)?.imports ?? []) {
    // What node has, in a branch that no browser takes.
    if (imported.external) continue;
    if (imported.kind === "import-statement" || (lazy && imported.kind === "dynamic-import")) {
      scripts(relative("dist", imported.path), lazy, found);
    }
  }
  return found;
}

function integrity(path) {
  return `sha384-${createHash("sha384").update(files.get(path)).digest("base64")}`;
}

const weights = [];
for (const page of PAGES) {
  const [entry, output] = [...outputs].find(([, output]) => output.entryPoint === `src/${page}/main.tsx`);
  const style = output.cssBundle && relative("dist", output.cssBundle);
  const tags = [`<link rel="icon" href="${icon}" type="image/svg+xml">`];
  if (style) tags.push(`<link rel="stylesheet" href="${style}" integrity="${integrity(style)}">`);
  for (const path of scripts(entry, false)) {
    // A module that was preloaded with its hash is the one that the import gets.
    if (path !== entry) tags.push(`<link rel="modulepreload" href="${path}" integrity="${integrity(path)}">`);
  }
  tags.push(`<script type="module" src="${entry}" integrity="${integrity(entry)}"></script>`);
  const template = readFileSync(join(HERE, `src/${page}/${page}.html`), "utf8");
  if (template.split(PLACE).length !== 2) throw new Error(`${page}.html needs ${PLACE} once`);
  files.set(`${page}.html`, Buffer.from(template.replace(PLACE, () => tags.join("\n"))));

  const loaded = [`${page}.html`, icon, ...(style ? [style] : []), ...scripts(entry, true)];
  const first = [`${page}.html`, icon, ...(style ? [style] : []), ...scripts(entry, false)];
  weights.push({ page, first: weight(first), all: weight(loaded) });
}

function weight(paths) {
  return paths.map((path) => gzip(files.get(path)).length).reduce((sum, bytes) => sum + bytes, 0);
}

function gzip(bytes) {
  return gzipSync(bytes, { level: 9 });
}

for (const [path, bytes] of [...files]) files.set(`${path}.gz`, gzip(bytes));
mkdirSync(join(DIST, "assets"), { recursive: true });
for (const old of readdirSync(DIST, { recursive: true, withFileTypes: true })) {
  const path = relative(DIST, join(old.parentPath, old.name));
  if (old.isFile() && path !== ".gitignore" && !files.has(path)) rmSync(join(DIST, path));
}
for (const [path, bytes] of files) {
  const to = join(DIST, path);
  if (!existsSync(to) || !readFileSync(to).equals(bytes)) writeFileSync(to, bytes);
}

let isTooBig = false;
for (const { page, first, all } of weights) {
  const most = MOST_BYTES[page];
  const told = `${page}: ${kb(first)} KB to begin with, ${kb(all)} KB in all, of ${kb(most)} KB (gzip)`;
  console.log(told);
  if (all > most) isTooBig = true;
}
if (isTooBig) {
  console.error("a page is over its size: see above");
  process.exitCode = 1;
}

function kb(bytes) {
  return (bytes / 1024).toFixed(1);
}
