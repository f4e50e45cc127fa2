// Runs the unit tests: bundles each src/**/*.test.ts(x) for node and hands all to its test runner.
import { spawnSync } from "node:child_process";
import { readdirSync, rmSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const HERE = dirname(fileURLToPath(import.meta.url));
const OUT = join(HERE, "node_modules/.unit-tests");
const found = readdirSync(join(HERE, "src"), { recursive: true, withFileTypes: true })
  .map((entry) => join(entry.parentPath, entry.name))
  .filter((path) => /\.test\.tsx?$/.test(path));
if (found.length === 0) throw new Error("there are no unit tests");

rmSync(OUT, { recursive: true, force: true });
const bundle = await build({
  absWorkingDir: HERE,
  entryPoints: found.map((path) => relative(HERE, path)),
  outdir: OUT,
  outbase: "src",
  outExtension: { ".js": ".mjs" },
  bundle: true,
  format: "esm",
  platform: "node",
  target: "node20",
  jsx: "automatic",
  jsxImportSource: "preact",
  loader: { ".css": "empty", ".svg": "empty" },
  sourcemap: "inline",
  metafile: true,
  logLevel: "warning",
});
const tests = Object.keys(bundle.metafile.outputs).map((path) => join(HERE, path));
const run = spawnSync(process.execPath, ["--enable-source-maps", "--test", ...tests], { stdio: "inherit" });
process.exitCode = run.status ?? 1;
