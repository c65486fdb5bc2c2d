// Products of int8 rows with a query in WebAssembly's 128-bit vectors, 16 components at a time.
//
// 45 million products (50,000 GIFs, 512 components of frames and 384 of names) take 6 ms so, and 60 in
// plain JavaScript, which arrays.js falls back on. The module is assembled here from the instructions
// below, so that there is no binary file and no build step. Codes: WebAssembly core specification 2.0,
// https://webassembly.github.io/spec/core/binary/instructions.html

const I32 = 0x7f, V128 = 0x7b, EMPTY = 0x40;
const [ROWS, QUERY, OUT, N, WIDTH, AT, END, SUM] = [0, 1, 2, 3, 4, 5, 6, 7]; // parameters, then locals
const get = (local) => [0x20, local];
const set = (local) => [0x21, local];
const constant = (value) => [0x41, value]; // up to 63
const add = 0x6a, subtract = 0x6b, shiftLeft = 0x74, isZero = 0x45, isLess = 0x49;
const block = [0x02, EMPTY], loop = [0x03, EMPTY], end = 0x0b;
const branch = (depth) => [0x0c, depth];
const branchIf = (depth) => [0x0d, depth];
const vector = (code) => (code < 128 ? [0xfd, code] : [0xfd, (code & 127) | 128, code >> 7]);
const load = (offset) => [...vector(0x00), 0, offset];
const zeros = [...vector(0x0c), ...new Array(16).fill(0)];
const lane = (i) => [...vector(0x1b), i];
const lowHalf = vector(0x87), highHalf = vector(0x88); // 8 of int8 to int16
const dotProducts = vector(0xba), addLanes = vector(0xae);
const toFloat = 0xb2, storeFloat = [0x38, 2, 0];
const moveOn = (local, bytes) => [...get(local), ...constant(bytes), add, ...set(local)];

const BODY = [
  ...block, ...loop,
  ...get(N), isZero, ...branchIf(1),
  ...zeros, ...set(SUM),
  ...get(QUERY), ...set(AT),
  ...get(QUERY), ...get(WIDTH), ...constant(1), shiftLeft, add, ...set(END),
  ...loop,
  ...get(SUM),
  ...get(ROWS), ...load(0), ...lowHalf, ...get(AT), ...load(0), ...dotProducts, ...addLanes,
  ...get(ROWS), ...load(0), ...highHalf, ...get(AT), ...load(16), ...dotProducts, ...addLanes,
  ...set(SUM),
  ...moveOn(ROWS, 16), ...moveOn(AT, 32),
  ...get(AT), ...get(END), isLess, ...branchIf(0),
  end,
  ...get(OUT),
  ...get(SUM), ...lane(0), ...get(SUM), ...lane(1), add, ...get(SUM), ...lane(2), add, ...get(SUM), ...lane(3), add,
  toFloat, ...storeFloat,
  ...moveOn(OUT, 4),
  ...get(N), ...constant(1), subtract, ...set(N),
  ...branch(0),
  end, end, end,
];

const size = (n) => (n < 128 ? [n] : [(n & 127) | 128, n >> 7]);
const section = (id, content) => [id, ...size(content.length), ...content];
const name = (text) => [text.length, ...[...text].map((char) => char.charCodeAt(0))];
const code = [2, 2, I32, 1, V128, ...BODY]; // two groups of locals
const MODULE = Uint8Array.from([
  0, 0x61, 0x73, 0x6d, 1, 0, 0, 0,
  ...section(1, [1, 0x60, 5, I32, I32, I32, I32, I32, 0]),
  ...section(2, [1, ...name("m"), ...name("m"), 2, 0, 0]),
  ...section(3, [1, 0]),
  ...section(7, [1, ...name("scores"), 0, 0]),
  ...section(10, [1, ...size(code.length), ...code]),
]);

const PAGE = 65_536;
const LANES = 16; // components at a time
const MOST = 16_383; // of a query's component: 1,024 products with an int8 stay below 2 to the 31
let compiled;

/** {scores(query)}, or null where vectors of WebAssembly cannot be had. Rows (n × dim) are copied. */
export function kernelFor(values, n, dim) {
  try {
    compiled ??= new WebAssembly.Module(MODULE);
  } catch {
    return null;
  }
  const width = Math.ceil(dim / LANES) * LANES;
  const queryAt = n * width;
  const outAt = queryAt + 2 * width;
  const memory = new WebAssembly.Memory({ initial: Math.ceil((outAt + 4 * n) / PAGE) });
  const { scores } = new WebAssembly.Instance(compiled, { m: { m: memory } }).exports;
  const rows = new Int8Array(memory.buffer, 0, n * width);
  if (width === dim) rows.set(values);
  else for (let row = 0; row < n; row++) rows.set(values.subarray(row * dim, (row + 1) * dim), row * width);
  const query = new Int16Array(memory.buffer, queryAt, width);
  const out = new Float32Array(memory.buffer, outAt, n);
  const most = Math.min(MOST, Math.floor(2 ** 31 / (127 * width)));
  return {
    rows,
    width,
    /** Products of every row with a vector, times the factor that is returned. */
    scores(vector) {
      let largest = 1e-12;
      for (let i = 0; i < dim; i++) largest = Math.max(largest, Math.abs(vector[i]));
      for (let i = 0; i < dim; i++) query[i] = Math.round((vector[i] * most) / largest);
      scores(0, queryAt, outAt, n, width);
      return { out, factor: largest / most };
    },
  };
}
