// The weights of a tower, stored in eight bits (retrieval.site.weights).

import { readArrays } from "./arrays.js";

/** The tower's file of external data: float32 values, as bytes. `facts` is "weights" of model.json. */
export function externalData(buffer, { arrays, tensors, block, size }) {
  const stored = readArrays(buffer, arrays);
  const whole = new ArrayBuffer(size);
  tensors.forEach(({ shape, axis, at }, number) => {
    const [outer, inner] = [shape.slice(0, axis), shape.slice(axis + 1)].map((sides) => sides.reduce((a, b) => a * b, 1));
    const length = shape[axis];
    const levels = stored[`${number}.levels`];
    const scales = stored[`${number}.scales`];
    const values = new Float32Array(whole, at, levels.length);
    let next = 0;
    let scale = 0; // of the first column
    for (let i = 0; i < outer; i++) {
      for (let from = 0; from < length; from += block, scale += inner) {
        const until = next + Math.min(block, length - from) * inner;
        for (let column = 0; next < until; next++) {
          values[next] = levels[next] * scales[scale + column];
          column = column + 1 === inner ? 0 : column + 1;
        }
      }
    }
  });
  return new Uint8Array(whole);
}
