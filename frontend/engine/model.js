// The checkpoint's towers on ONNX Runtime: texts and pictures to unit vectors.

import { cleanerOf } from "./cleaning.js";
import { hashOf } from "./files.js";
import { openPicture, pixelsOf } from "./pictures.js";
import { Refusal } from "./refusal.js";
import { Tokens } from "./tokens.js";
import { externalData } from "./weights.js";
import { unit } from "./arrays.js";

const FOLDER = "model";
// Of vendor/, unless model.json names others.
const VENDOR = {
  runtime: { file: "vendor/ort.wasm.bundle.min.mjs" },
  wasm: { file: "vendor/ort-wasm-simd-threaded.wasm" },
  tokenizers: { file: "vendor/tokenizers.min.mjs" },
};
const KEPT_TEXTS = 128; // whose embeddings are kept
const MOST_THREADS = 4;

export class Model {
  /** `described` is model.json, `files` fetches; the tables are those of cleaning.json. */
  constructor(described, files, tables) {
    Object.assign(this, { towers: described.towers, vendor: { ...VENDOR, ...described.vendor }, files });
    this.cleaner = cleanerOf(tables);
    this.minWidth = tables.min_width;
    this.texts = new Map(); // text → {embedding, sentence}
    this.hasPictures = Boolean(described.towers.image);
  }

  /** Fetch and compile the text towers. Throws a Refusal that says what failed. */
  async load() {
    const { message, sentence } = this.towers;
    const counted = [message, sentence].filter(Boolean).flatMap((tower) => [tower, tower.weights]);
    this.files.expect(...counted, this.vendor.wasm);
    const [ort, { Tokenizer }, wasm, parts, others] = await Promise.all([
      this.module("runtime"),
      this.module("tokenizers"),
      this.files.bytes(this.vendor.wasm.file, this.vendor.wasm, true),
      this.parts(message),
      sentence ? this.parts(sentence) : null,
    ]);
    this.ort = ort;
    ort.env.wasm.wasmBinary = wasm;
    // One core stays with the page; threads need a page that is isolated from other sites.
    const cores = globalThis.crossOriginIsolated ? navigator.hardwareConcurrency - 1 : 1;
    ort.env.wasm.numThreads = Math.max(1, Math.min(MOST_THREADS, cores));
    ort.env.logLevel = "error";
    const start = async (tower, [graph, weights, tokenizer]) => ({
      ...tower,
      session: await this.session(tower, graph, weights),
      tokens: new Tokens(new Tokenizer(tokenizer, {}), { ...tower.token_settings, min_width: this.minWidth }, this.cleaner),
    });
    try {
      this.message = await start(message, parts);
      this.sentence = sentence ? await start(sentence, others) : null;
    } catch (error) {
      throw new Refusal(503, "engine_no_model", { reason: error.message }, "failed");
    }
  }

  async module(role) {
    const { file } = this.vendor[role];
    try {
      return await import(this.files.address(file));
    } catch {
      throw new Refusal(503, "engine_lost", { file: file.split("/").pop() }, "failed");
    }
  }

  parts(tower) {
    return Promise.all([
      ...this.graph(tower, true),
      this.files.json(`${FOLDER}/${tower.tokenizer}`),
    ]);
  }

  /** Promises of a tower's graph and of its weights. */
  graph(tower, isCounted) {
    return [tower, tower.weights].map((each) => this.files.bytes(`${FOLDER}/${each.file}`, each, isCounted));
  }

  session({ weights: facts }, graph, weights) {
    const external = { path: facts.location, data: externalData(weights, facts) };
    // The graph was simplified when it was written.
    const options = { executionProviders: ["wasm"], graphOptimizationLevel: "disabled", externalData: [external] };
    return this.ort.InferenceSession.create(new Uint8Array(graph), options);
  }

  /** {embeddings, sentences} of texts, unit vectors; sentences only if they are wanted. */
  async encode(texts, wantsSentences) {
    const fresh = [...new Set(texts)].filter((text) => !this.texts.has(text));
    if (fresh.length) {
      const found = await this.run(this.message, fresh);
      const sentences = wantsSentences && this.sentence ? (await this.run(this.sentence, fresh)).sentence : found.sentence;
      fresh.forEach((text, i) => this.texts.set(text, { embedding: found.embedding[i], sentence: sentences?.[i] }));
    }
    const known = texts.map((text) => this.texts.get(text));
    for (const text of this.texts.keys()) if (this.texts.size > KEPT_TEXTS) this.texts.delete(text);
    return { embeddings: known.map((text) => text.embedding), sentences: known.map((text) => text.sentence) };
  }

  /** The outputs for texts, each alone: beside a longer one a text would be padded. */
  async run(tower, texts) {
    const found = { embedding: [], sentence: [] };
    for (const text of texts) {
      const { ids, n, width } = tower.tokens.encode([text]);
      const outputs = await tower.session.run({ [tower.inputs[0]]: new this.ort.Tensor("int64", ids, [n, width]) });
      for (const [output, name] of Object.entries(tower.outputs)) if (name) found[output].push(rowOf(outputs[name]));
    }
    return found;
  }

  /** What is known of a picture by at most `nFrames` of its frames: {id, width, height, nFrames, durationMs, frames with vectors}. */
  async encodePicture(blob, nFrames) {
    const { image } = this.towers;
    const session = (this.pictures ??= await this.session(image, ...(await Promise.all(this.graph(image, false)))));
    const opened = await openPicture(blob, nFrames);
    const [height, width] = image.preprocess.size;
    const frames = [];
    for (const { index, time_ms, bitmap } of opened.frames) {
      const pixels = pixelsOf(bitmap, image.preprocess);
      bitmap.close();
      const found = await session.run({ [image.inputs[0]]: new this.ort.Tensor("uint8", pixels, [1, height, width, 3]) });
      frames.push({ index, time_ms, vector: rowOf(found[image.outputs.embedding]) });
    }
    return { ...opened, id: crypto.subtle ? await hashOf(await blob.arrayBuffer()) : crypto.randomUUID(), frames };
  }
}

/** A tower's only row as a unit vector: that of a quantised tower is not quite of length one. */
function rowOf({ data }) {
  return unit(Float32Array.from(data));
}
