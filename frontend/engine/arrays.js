// Typed arrays over one file (retrieval.site.arrays), and rows of vectors in eight bits.

import { kernelFor } from "./kernel.js";

const TYPES = { float32: Float32Array, int32: Int32Array, uint8: Uint8Array, int8: Int8Array };

/** {name: typed array} of a file; float16 becomes a Float32Array. */
export function readArrays(buffer, layout) {
  const arrays = {};
  for (const { name, dtype, shape, at } of layout) {
    const length = shape.reduce((product, n) => product * n, 1);
    arrays[name] =
      dtype === "float16" ? fromHalf(new Uint16Array(buffer, at, length)) : new TYPES[dtype](buffer, at, length);
  }
  return arrays;
}

let halves = null; // by bits

/** The numbers of half precision (IEEE 754) with these bits. */
export function fromHalf(bits) {
  halves ??= Float32Array.from({ length: 65_536 }, (_, half) => {
    const sign = half & 0x8000 ? -1 : 1;
    const exponent = (half >> 10) & 31;
    const fraction = half & 1023;
    if (exponent === 0) return sign * fraction * 2 ** -24;
    if (exponent === 31) return fraction ? NaN : sign * Infinity;
    return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
  });
  const values = new Float32Array(bits.length);
  for (let i = 0; i < bits.length; i++) values[i] = halves[bits[i]];
  return values;
}

/** Unit vectors (n, dim) as int8 with a factor per row. */
export class Rows {
  constructor(values, scales, dim) {
    this.scales = scales;
    this.dim = dim;
    this.n = scales.length;
    this.kernel = kernelFor(values, this.n, dim);
    this.width = this.kernel?.width ?? dim; // from one row to the next
    this.values = this.kernel?.rows ?? values;
  }

  /** Of vectors that are not in eight bits yet. */
  static of(vectors, dim) {
    const values = new Int8Array(vectors.length * dim);
    const scales = new Float32Array(vectors.length);
    vectors.forEach((vector, row) => {
      scales[row] = vector.reduce((most, value) => Math.max(most, Math.abs(value)), 0) / 127;
      for (let i = 0; i < dim; i++) values[row * dim + i] = Math.round(vector[i] / (scales[row] || 1));
    });
    return new Rows(values, scales, dim);
  }

  /** The cosine of every row with a unit vector, into `out` (n). */
  scores(vector, out) {
    if (!this.kernel) return this.scoresWithout(vector, out);
    const { out: products, factor } = this.kernel.scores(vector);
    for (let row = 0; row < this.n; row++) out[row] = products[row] * factor * this.scales[row];
    return out;
  }

  /** The same without WebAssembly. Four sums side by side: one takes twice as long. */
  scoresWithout(vector, out) {
    const { values, scales, dim, n } = this;
    const query = Float64Array.from(vector);
    const whole = dim - (dim % 4);
    for (let row = 0, at = 0; row < n; row++) {
      let a = 0, b = 0, c = 0, d = 0;
      for (let i = 0; i < whole; i += 4, at += 4) {
        a += values[at] * query[i];
        b += values[at + 1] * query[i + 1];
        c += values[at + 2] * query[i + 2];
        d += values[at + 3] * query[i + 3];
      }
      for (let i = whole; i < dim; i++, at++) a += values[at] * query[i];
      out[row] = (a + b + c + d) * scales[row];
    }
    return out;
  }

  /** The cosine of one row. */
  score(vector, row) {
    let sum = 0;
    for (let i = 0, at = row * this.width; i < this.dim; i++, at++) sum += this.values[at] * vector[i];
    return sum * this.scales[row];
  }

  /** One row as a unit vector. */
  vector(row) {
    return unit(Float32Array.from(this.values.subarray(row * this.width, row * this.width + this.dim)));
  }
}

export function dot(a, b) {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

/** The vector at unit length, in place. */
export function unit(vector, least = 1e-12) {
  const norm = Math.max(Math.sqrt(dot(vector, vector)), least);
  for (let i = 0; i < vector.length; i++) vector[i] /= norm;
  return vector;
}

/** {mean, deviation} over all of them. */
export function statistics(values) {
  let sum = 0, squares = 0;
  for (let i = 0; i < values.length; i++) {
    sum += values[i];
    squares += values[i] * values[i];
  }
  const mean = sum / (values.length || 1);
  return { mean, deviation: Math.sqrt(Math.max(squares / (values.length || 1) - mean * mean, 1e-12)) };
}

let scratch = new Float32Array(0);

/** The numbers of the `n` highest scores, ascending; of those `allowed` (bytes), if it is given. */
export function highest(scores, n, allowed) {
  if (scratch.length < scores.length) scratch = new Float32Array(scores.length);
  let count = 0;
  for (let i = 0; i < scores.length; i++) if (!allowed || allowed[i]) scratch[count++] = scores[i];
  n = Math.min(n, count);
  const found = new Int32Array(n);
  if (!n) return found;
  const least = select(scratch, count, count - n);
  let above = 0;
  for (let i = 0; i < scores.length; i++) if (scores[i] > least && (!allowed || allowed[i])) above++;
  let equal = n - above;
  for (let i = 0, at = 0; at < n; i++) {
    if (allowed && !allowed[i]) continue;
    if (scores[i] > least || (scores[i] === least && equal-- > 0)) found[at++] = i;
  }
  return found;
}

/** The value that would stand at `place` if the first `count` values were sorted (Hoare, 1961). */
function select(values, count, place) {
  let low = 0, high = count - 1;
  while (low < high) {
    const pivot = values[(low + high) >> 1];
    let i = low, j = high;
    while (i <= j) {
      while (values[i] < pivot) i++;
      while (values[j] > pivot) j--;
      if (i > j) break;
      const value = values[i];
      values[i++] = values[j];
      values[j--] = value;
    }
    if (place <= j) high = j;
    else if (place >= i) low = i;
    else break;
  }
  return values[place];
}

/** Sort numbers by score, best first, then ascending; in place. `of` gives a number's score. */
export function bestFirst(numbers, of) {
  return numbers.sort((a, b) => of(b) - of(a) || a - b);
}
