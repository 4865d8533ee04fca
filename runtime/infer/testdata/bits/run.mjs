// Replays a program's calls on the kernel module in a JavaScript engine, and prints the
// digest of what it answered.
//
//	node run.mjs FOLDER
//
// FOLDER holds module.wasm, weights.bin (memory from offset 0) and calls.json, a list of:
//
//	["fill", at, length, byte]      sets memory
//	["write", at, base64]           sets memory
//	["call", export, lo, hi, ...]   calls a kernel
//	["hash", name, at, length]      adds memory to the SHA-256 of that name
//
// Every hash is printed as "name hex", in the order of names first met.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const folder = process.argv[2];
const read = (name) => readFileSync(join(folder, name));
const { instance } = await WebAssembly.instantiate(read('module.wasm'), {});
const memory = new Uint8Array(instance.exports.memory.buffer);
memory.set(read('weights.bin'));

const hashes = new Map();
const steps = {
  fill: (at, length, byte) => memory.fill(byte, at, at + length),
  write: (at, base64) => memory.set(Buffer.from(base64, 'base64'), at),
  call: (name, ...args) => instance.exports[name](...args),
  hash: (name, at, length) => {
    if (!hashes.has(name)) hashes.set(name, createHash('sha256'));
    hashes.get(name).update(memory.subarray(at, at + length));
  },
};
for (const [what, ...args] of JSON.parse(read('calls.json'))) steps[what](...args);
for (const [name, hash] of hashes) console.log(name, hash.digest('hex'));
console.error(`V8 ${process.versions.v8}, node ${process.version}, ${process.arch}`);
