// What is ranked: the library, or a visitor's own pictures. Scores by frames alone.

import { Rows, bestFirst, highest, statistics } from "./arrays.js";

const FIRST = 40; // GIFs that are looked at to begin with; four times as many follow if too few

/** Texts of one kind (names, or words in the picture): several to a GIF or none. */
class Texts {
  constructor({ gifs, rows, scales }, dim, n) {
    this.gifs = gifs;
    this.rows = new Rows(rows, scales, dim);
    this.found = new Float32Array(gifs.length);
    this.starts = new Int32Array(n + 1); // of each GIF's texts
    for (const gif of gifs) this.starts[gif + 1]++;
    for (let gif = 0; gif < n; gif++) this.starts[gif + 1] += this.starts[gif];
  }

  /** Score every text; what the others return is about this query. */
  ask(answers) {
    this.rows.scores(answers, this.found);
    this.statistics = statistics(this.found);
  }

  /** The GIFs of the `wanted` nearest texts. */
  candidates(wanted, allowed) {
    const rowsAllowed = allowed && Uint8Array.from(this.gifs, (gif) => allowed[gif]);
    return highest(this.found, wanted, rowsAllowed).map((row) => this.gifs[row]);
  }

  /** The row of a GIF's best text, or -1. */
  best(gif) {
    let best = -1;
    for (let row = this.starts[gif]; row < this.starts[gif + 1]; row++) {
      if (best < 0 || this.found[row] > this.found[best]) best = row;
    }
    return best;
  }

  /** A row's score in standard deviations of the scores of all texts. */
  standard(row) {
    return (this.found[row] - this.statistics.mean) / this.statistics.deviation;
  }
}

export class Collection {
  /** `frames` has scales and rows; `kinds` (n × 43) and texts are null for other collections. */
  constructor(catalog, dim) {
    this.catalog = catalog;
    this.n = catalog.n;
    this.dim = dim;
    this.frames = this.kinds = this.names = this.words = this.phrases = null;
    this.cosines = new Float32Array(this.n);
  }

  setFrames({ rows, scales }) {
    this.frames = new Rows(rows, scales, this.dim);
  }

  setTexts(name, arrays) {
    const dim = arrays.rows.length / arrays.scales.length;
    this[name] = new Texts(arrays, dim, this.n);
  }

  /** Cosines of all GIFs with a vector; the array is used again by the next query. */
  scoreFrames(vector) {
    return this.frames.scores(vector, this.cosines);
  }

  /** The GIFs that a message's operators and a filter's mask allow, a byte each; null for all. */
  allowed(message, mask) {
    if (!message || !(message.required.length || message.excluded.length)) return mask;
    const allowed = mask ? mask.slice() : new Uint8Array(this.n).fill(1);
    for (const phrase of message.required) {
      const there = new Set(this.containing(phrase));
      for (let gif = 0; gif < this.n; gif++) if (!there.has(gif)) allowed[gif] = 0;
    }
    for (const word of message.excluded) for (const gif of this.containing(word)) allowed[gif] = 0;
    return allowed;
  }

  containing(phrase) {
    return this.phrases.containing(phrase);
  }

  /** The first `topK` GIFs by frames alone: {gifs, scores}; with `fold`, one of each group. */
  rankByFrames(vector, topK, allowed, least, fold) {
    const scores = this.scoreFrames(vector);
    for (let wanted = fold ? 3 * FIRST : FIRST; ; wanted *= 4) {
      const found = highest(scores, wanted, allowed);
      let gifs = [...bestFirst(found, (gif) => scores[gif])].filter((gif) => scores[gif] >= least);
      const isAll = found.length < wanted || gifs.length < found.length;
      if (fold) gifs = this.catalog.oneOfEachGroup(gifs);
      if (isAll || gifs.length >= topK) {
        gifs = gifs.slice(0, topK);
        return { gifs, scores: gifs.map((gif) => scores[gif]) };
      }
    }
  }

  /** The near-duplicates that a result stands for, best first. */
  folded(vector, gif, allowed, least = -Infinity) {
    const others = this.catalog.alike(gif, allowed);
    if (!others.length) return others;
    const scores = new Map(others.map((other) => [other, this.frames.score(vector, other)]));
    return bestFirst(others, (other) => scores.get(other)).filter((other) => scores.get(other) >= least);
  }

  /** The embedded frames that are known of a GIF: {index, time_ms, score}. */
  framesOf(gif, vector) {
    const { frame, time_ms } = this.catalog.columns;
    return [{ index: frame[gif], time_ms: time_ms[gif], score: this.frames.score(vector, gif) }];
  }
}
