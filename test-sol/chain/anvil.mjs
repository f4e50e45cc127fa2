// An anvil of one's own, a proxy before it that can break off, and forge's scripts: for tests of what only a node shows.
import { spawn } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '../..');
const system = process.platform === 'darwin' ? 'darwin' : 'linux';
const machine = process.arch === 'arm64' ? 'arm64' : 'amd64';
const tool = (name) => path.join(root, `lib/node_modules/@foundry-rs/${name}-${system}-${machine}/bin/${name}`);

// anvil's well-known accounts: the first deploys, the others are who script/config/local.json says
export const deployer = '0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80';
export const owners = [
  '0x47e179ec197488593b187f80a00eb0da91f1b9d0b13f8733639f19c30a34926a',
  '0x8b3a350cf5c34c9194ca85829a2df0ec3153be0318b5e2d3348e872092edffba',
];
export const strangerAddress = '0xa0Ee7A142d267C1f36714E4a8F75612F20a79720';

// Where forge's scripts read and write, gone at the end.
export function scratchFolder(name) {
  const folder = path.join(root, `.stack/${name}-${process.pid}`);
  mkdirSync(folder, { recursive: true });
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

function freePort() {
  return new Promise((resolve) => {
    const server = net.createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

export async function startAnvil() {
  const port = await freePort();
  const child = spawn(tool('anvil'), ['--port', String(port), '--silent'], { stdio: 'ignore' });
  const url = `http://127.0.0.1:${port}`;
  for (let i = 0; ; ++i) {
    try {
      await ask(url, 'eth_chainId', []);
      break;
    } catch (error) {
      if (i > 100) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
  return { url, stop: () => child.kill() };
}

export async function ask(url, method, params) {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
  });
  const body = await response.json();
  if (body.error) throw new Error(body.error.message);
  return body.result;
}

// Sends as an account whose key nobody has: what no script would do.
export async function sendAs(url, from, to, data) {
  await ask(url, 'anvil_impersonateAccount', [from]);
  await ask(url, 'anvil_setBalance', [from, '0xde0b6b3a7640000']);
  const hash = await ask(url, 'eth_sendTransaction', [{ from, to, data, gas: '0x7a120' }]);
  await ask(url, 'anvil_stopImpersonatingAccount', [from]);
  let receipt = null;
  while (!receipt) receipt = await ask(url, 'eth_getTransactionReceipt', [hash]); // mined, and known a moment later
  if (receipt.status !== '0x1') throw new Error(`${data.slice(0, 10)} to ${to} reverted`);
}

// Passes everything on, but only so many transactions.
export function startProxy(url, transactions) {
  return new Promise((resolve) => {
    let left = transactions;
    const server = http.createServer(async (request, response) => {
      const chunks = [];
      for await (const chunk of request) chunks.push(chunk);
      const body = Buffer.concat(chunks).toString();
      response.setHeader('content-type', 'application/json');
      if (body.includes('eth_sendRawTransaction') && left-- <= 0) {
        const { id } = JSON.parse(body);
        const error = { code: -32003, message: 'this node takes no more' };
        response.end(JSON.stringify({ jsonrpc: '2.0', id, error }));
        return;
      }
      const answer = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
      response.end(await answer.text());
    });
    server.listen(0, '127.0.0.1', () => {
      resolve({ url: `http://127.0.0.1:${server.address().port}`, stop: () => server.close() });
    });
  });
}

function run(command, args, env) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: root, env: { ...process.env, ...env } });
    let output = '';
    child.stdout.on('data', (data) => (output += data));
    child.stderr.on('data', (data) => (output += data));
    child.on('close', (code) => resolve({ code, output }));
  });
}

export const forge = (args, env) => run(tool('forge'), args, env);
export const check = (url, verifier, env) =>
  run('node', ['script/check.mjs', '--rpc-url', url, verifier], { DEPLOY_CONFIG: 'script/config/local.json', ...env });
export const deploy = (url, env) =>
  run('node', ['script/deploy.mjs', '--rpc-url', url, '--private-key', deployer], {
    DEPLOY_CONFIG: 'script/config/local.json',
    ...env,
  });
