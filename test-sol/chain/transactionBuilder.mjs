// What Safe's Transaction Builder does with a file that it is given: the checksum, written from its definition and not from
// ours. Each object is the list of its keys in order, then each value and a comma; meta's name and checksum do not count.
import { createRequire } from 'node:module';

const require = createRequire(new URL('../../lib/package.json', import.meta.url));
const { keccak256 } = require('ethereum-cryptography/keccak.js');

function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (value === null || typeof value !== 'object') return JSON.stringify(value ?? null);
  const keys = Object.keys(value).sort();
  return `{${JSON.stringify(keys)}${keys.map((key) => `${canonical(value[key])},`).join('')}}`;
}

export function checksumOf(file) {
  const { checksum, ...meta } = file.meta;
  const text = canonical({ ...file, meta: { ...meta, name: null } });
  return `0x${Buffer.from(keccak256(Buffer.from(text))).toString('hex')}`;
}

export const selector = (signature) => `0x${Buffer.from(keccak256(Buffer.from(signature))).toString('hex').slice(0, 8)}`;
export const hash = (text) => `0x${Buffer.from(keccak256(Buffer.from(text))).toString('hex')}`;
export const hashOfBytes = (hex) => `0x${Buffer.from(keccak256(Buffer.from(hex, 'hex'))).toString('hex')}`;
