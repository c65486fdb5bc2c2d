// Which reactions a message calls for, and what answers it: retrieval.encoders.reaction_model.

import { Rows, bestFirst, highest, unit } from "./arrays.js";

export class ReactionModel {
  /** `arrays` are those of reactions.bin, `neighbours` its settings, `names` the categories. */
  constructor(arrays, neighbours, names) {
    this.names = names;
    this.neighbours = neighbours;
    this.head = arrays.head;
    this.bias = arrays.bias;
    this.answer = arrays.answer;
    this.categories = arrays.categories;
    this.dim = arrays.head.length / names.length;
    this.messages = new Rows(arrays.rows, arrays.scales, this.dim);
    this.cosines = new Float32Array(this.messages.n);
  }

  /** The probability of each reaction for a unit sentence embedding. */
  calledFor(sentence) {
    const { head, bias, dim, names } = this;
    const logits = this.neighbourLogits(sentence);
    let most = -Infinity;
    for (let category = 0; category < names.length; category++) {
      let sum = bias[category];
      for (let i = 0; i < dim; i++) sum += head[category * dim + i] * sentence[i];
      logits[category] += sum;
      most = Math.max(most, logits[category]);
    }
    let total = 0;
    for (let i = 0; i < logits.length; i++) total += logits[i] = Math.exp(logits[i] - most);
    return logits.map((power) => power / total);
  }

  neighbourLogits(sentence) {
    const { k, temperature, floor, weight } = this.neighbours;
    this.messages.scores(sentence, this.cosines);
    const shares = new Float64Array(this.names.length);
    let total = 0;
    for (const message of highest(this.cosines, k)) {
      const power = Math.exp((this.cosines[message] - 1) / temperature);
      shares[this.categories[message]] += power;
      total += power;
    }
    return shares.map((share) => weight * Math.log(share / total + floor));
  }

  /** The unit vector that texts which answer a message are near to. */
  answers(sentence) {
    const { answer, dim } = this;
    const vector = new Float32Array(dim);
    for (let i = 0; i < dim; i++) {
      for (let j = 0; j < dim; j++) vector[j] += sentence[i] * answer[i * dim + j];
    }
    return unit(vector);
  }
}

/** The reactions with at least this probability, the likeliest first: [number, probability]. */
export function likely(reactions, least) {
  const numbers = [...reactions.keys()].filter((number) => reactions[number] >= least);
  return bestFirst(numbers, (number) => reactions[number]).map((number) => [number, reactions[number]]);
}

/** The query for the reactions that are left: what is insisted on, without those removed. */
export function chosenReactions(reactions, names, only, off) {
  if (!reactions || !(only || off.length)) return reactions;
  const left = Float64Array.from(reactions, (p, number) => {
    const isKept = only ? names[number] === only : !off.includes(names[number]);
    return isKept ? Math.max(p, 1e-9) : 0; // one that is insisted on may have a probability of 0
  });
  const total = left.reduce((sum, p) => sum + p, 0);
  return total ? left.map((p) => p / total) : null;
}
