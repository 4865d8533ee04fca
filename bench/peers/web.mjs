// Answers the benchmark with onnxruntime-web's WebAssembly on one thread: see package line
// for what is said. argv: the folder of node_modules, the ONNX file. A time is of id tensors
// in, hidden states out, without tokenisation and pooling.
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { join } from 'node:path';

const begin = performance.now();
const ort = await import(pathToFileURL(join(process.argv[2], 'onnxruntime-web/dist/ort.node.min.mjs')))
  .catch(() => import(pathToFileURL(join(process.argv[2], 'onnxruntime-web/dist/ort.min.mjs'))));
ort.env.wasm.numThreads = 1;
ort.env.logLevel = 'error';
const session = await ort.InferenceSession.create(readFileSync(process.argv[3]), { executionProviders: ['wasm'] });

function feed(ids) {
  const longest = Math.max(...ids.map((s) => s.length)), dims = [ids.length, longest];
  const words = new BigInt64Array(ids.length * longest), mask = new BigInt64Array(words.length);
  ids.forEach((s, i) => s.forEach((id, j) => { words[i * longest + j] = BigInt(id); mask[i * longest + j] = 1n; }));
  const all = { input_ids: words, attention_mask: mask, token_type_ids: new BigInt64Array(words.length) };
  return Object.fromEntries(session.inputNames.map((n) => [n, new ort.Tensor('int64', all[n], dims)]));
}

async function timed(budget, call) {
  let t = performance.now();
  await call();
  const first = (performance.now() - t) * 1e3;
  if (first > budget) return { us: first, calls: 1 };
  const times = [], start = performance.now();
  while (times.length < 3 || (performance.now() - start) * 1e3 < budget) {
    t = performance.now();
    await call();
    times.push((performance.now() - t) * 1e3);
  }
  times.sort((a, b) => a - b);
  return { us: times[times.length >> 1], p90_us: times[Math.floor(times.length * 0.9)], calls: times.length };
}

async function embed(ids) {
  const out = (await session.run(feed(ids)))[session.outputNames[0]], [, longest, width] = out.dims;
  return ids.map((s, i) => {
    const v = new Array(width).fill(0);
    for (let j = 0; j < s.length; j++) for (let k = 0; k < width; k++) v[k] += out.data[(i * longest + j) * width + k];
    const norm = Math.hypot(...v);
    return v.map((x) => x / norm);
  });
}

async function answer(r) {
  if (r.op === 'embed') return { vectors: await embed(r.ids) };
  if (r.op === 'time') {
    const input = feed(r.ids);
    return timed(r.us, () => session.run(input));
  }
  throw new Error(`unknown request ${r.op}`);
}

const say = (a) => process.stdout.write(JSON.stringify(a) + '\n');
await embed([[5, 6, 7, 8, 9, 10, 11, 12]]);
say({ ready: true, kernels: `onnxruntime-web ${ort.env.versions?.web ?? ''}`, start_us: (performance.now() - begin) * 1e3 });
for await (const line of createInterface({ input: process.stdin })) {
  try {
    say(await answer(JSON.parse(line)));
  } catch (e) {
    say({ error: String(e) });
  }
}
process.exit(0);
