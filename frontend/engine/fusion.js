// Rank by frames, words, names and reactions together: a port of retrieval.search.fusion.

import { bestFirst, highest, statistics } from "./arrays.js";
import { countLetters, likeness } from "./phrases.js";
import { Refusal } from "./refusal.js";

export class Fusion {
  /** `weights` and `constants` are those of data.json. */
  constructor(collection, weights, constants) {
    this.collection = collection;
    this.weights = weights;
    this.constants = constants;
    this.reaction = new Float32Array(collection.n);
  }

  /** {gifs, scores, parts: {signal: numbers}, texts}; NaN: the signal knows nothing of the GIF. */
  rank(query, topK, allowed, least, fold, signals, kind) {
    const { collection } = this;
    const asked = this.ask(query, signals, kind);
    const found = { gifs: [], scores: [], parts: {}, texts: [] };
    const groups = collection.catalog.groups;
    for (let gifs of this.candidates(asked, allowed)) {
      if (fold && found.gifs.length) {
        const seen = new Set(found.gifs.map((gif) => groups[gif]));
        gifs = gifs.filter((gif) => !seen.has(groups[gif]));
      }
      const varies = !found.gifs.length && asked.hasReaction && kind !== "rrf";
      const more = this.ranked(asked, gifs, least, fold, varies);
      found.gifs.push(...more.gifs);
      found.scores.push(...more.scores);
      found.texts.push(...more.texts);
      for (const [name, part] of Object.entries(more.parts)) (found.parts[name] ??= []).push(...part);
      if (found.gifs.length >= topK) break;
    }
    const first = (numbers) => numbers.slice(0, topK);
    return {
      gifs: first(found.gifs),
      scores: first(found.scores),
      texts: first(found.texts),
      parts: Object.fromEntries(Object.entries(found.parts).map(([name, part]) => [name, first(part)])),
    };
  }

  /** Score all rows of each signal once. */
  ask(query, signals, kind) {
    const { collection, constants } = this;
    const has = (name) => signals.includes(name);
    const asked = { query, kind, byWord: [], has, hasReaction: has("reaction") && Boolean(query.reactions) };
    if (has("frames")) asked.frames = statistics(collection.scoreFrames(query.vector));
    asked.texts = query.answers ? ["words", "names"].filter((name) => has(name) && collection[name]) : [];
    for (const name of ["words", "names"]) if (query.answers) collection[name]?.ask(query.answers);
    if (asked.hasReaction) this.scoreReactions(query.reactions);
    if (query.message && (has("words") || has("names"))) {
      asked.byWord = collection.phrases.candidates(query.message.text, constants.compared);
    }
    return asked;
  }

  /** Every GIF's score by reaction in standard deviations, into `reaction`. */
  scoreReactions(reactions) {
    const { kinds, n } = this.collection;
    const width = reactions.length;
    for (let gif = 0, at = 0; gif < n; gif++) {
      let shared = 0;
      for (let i = 0; i < width; i++, at++) shared += kinds[at] * reactions[i];
      this.reaction[gif] = Math.log(shared + 1e-4);
    }
    const { mean, deviation } = statistics(this.reaction);
    for (let gif = 0; gif < n; gif++) this.reaction[gif] = (this.reaction[gif] - mean) / deviation;
  }

  /** The GIFs to score, ascending: some candidates, then more, until all have come. */
  *candidates(asked, allowed) {
    const { collection, constants } = this;
    const { n } = collection;
    const isLeft = allowed ? allowed.slice() : new Uint8Array(n).fill(1);
    const nEvery = isLeft.reduce((sum, is) => sum + is, 0);
    const marked = new Uint8Array(n);
    let wanted = constants.candidates;
    while (nEvery > Math.max(constants.score_all, wanted)) {
      const found = [asked.byWord];
      if (asked.frames) found.push(highest(collection.cosines, wanted, allowed));
      if (asked.hasReaction) found.push(highest(this.reaction, wanted, allowed));
      if (asked.query.answers) {
        for (const texts of [collection.words, collection.names]) if (texts) found.push(texts.candidates(wanted, allowed));
      }
      for (const gifs of found) for (const gif of gifs) marked[gif] = isLeft[gif];
      yield take(marked);
      for (let gif = 0; gif < n; gif++) {
        if (marked[gif]) isLeft[gif] = 0;
        marked[gif] = 0;
      }
      wanted *= 4;
    }
    yield take(isLeft);
  }

  /** These GIFs in order, without those that score too low. */
  ranked(asked, gifs, least, fold, varies) {
    const { collection, constants, weights } = this;
    const { scores, texts } = this.bySignal(asked, gifs);
    const parts = this.weighted(scores, asked.kind);
    const repeated = this.byLetter(asked, gifs, scores);
    const places = [...gifs.keys()];
    const total = places.map((i) => Object.values(parts).reduce((sum, part) => (Number.isNaN(part[i]) ? sum : sum + part[i]), repeated[i]));
    const hasWords = places.map((i) => Boolean(parts.words) && !Number.isNaN(parts.words[i]));
    for (const i of places) {
      if (parts.words) parts.words[i] += repeated[i]; // for them, or for the name if there are none
      if (parts.names && !hasWords[i]) parts.names[i] += repeated[i];
    }
    const probability = total.map((sum) => 1 / (1 + Math.exp(-(constants.slope * sum + weights.intercept))));
    let order = bestFirst(places, (i) => total[i]).filter((i) => probability[i] >= least);
    if (fold) {
      const kept = new Set(collection.catalog.oneOfEachGroup(order.map((i) => gifs[i])));
      order = order.filter((i) => kept.has(gifs[i]));
    }
    if (varies && order.length) {
      const isQuoted = (i) => repeated[i] >= constants.by_letter / 2;
      const quoted = order.filter(isQuoted);
      const all = [...quoted, ...order.filter((i) => !isQuoted(i))];
      order = this.varied(all, Math.max(1, quoted.length), gifs, probability, asked.query.reactions);
    }
    return {
      gifs: order.map((i) => gifs[i]),
      scores: order.map((i) => probability[i]),
      texts: order.map((i) => texts[i]),
      parts: Object.fromEntries(Object.entries(parts).map(([name, part]) => [name, order.map((i) => part[i])])),
    };
  }

  /** Each signal's scores in standard deviations, and the row of each GIF's best words. */
  bySignal(asked, gifs) {
    const { collection } = this;
    const scores = {};
    let texts = gifs.map(() => -1);
    if (asked.frames) {
      const { mean, deviation } = asked.frames;
      scores.frames = gifs.map((gif) => (collection.cosines[gif] - mean) / deviation);
    }
    for (const name of asked.texts) {
      const rows = gifs.map((gif) => collection[name].best(gif));
      scores[name] = rows.map((row) => (row < 0 ? NaN : collection[name].standard(row)));
      if (name === "words") texts = rows;
    }
    if (asked.hasReaction) scores.reaction = gifs.map((gif) => this.reaction[gif]);
    if (!Object.keys(scores).length) throw new Refusal(422, "engine_no_signal");
    return { scores, texts };
  }

  /** Each signal's part in the sum. */
  weighted(scores, kind) {
    const weights = kind === "learned" ? this.weights.learned : this.weights.sum;
    const part = (name, values) => {
      if (kind !== "rrf") return values.map((value) => weights[name] * value);
      const known = values.map((value) => (Number.isNaN(value) ? -Infinity : value));
      const ranks = [];
      [...known.keys()].sort((a, b) => (known[a] === known[b] ? a - b : known[b] - known[a])).forEach((i, rank) => (ranks[i] = rank));
      return ranks.map((rank) => (weights[name] * 100) / (this.constants.rrf_constant + 1 + rank));
    };
    return Object.fromEntries(Object.entries(scores).map(([name, values]) => [name, part(name, values)]));
  }

  /** What GIFs earn whose words or name the message repeats. */
  byLetter({ query, byWord }, gifs, scores) {
    const { by_letter, alike_from, full_length, compared } = this.constants;
    const bonus = gifs.map(() => 0);
    const kinds = ["words", "names"].filter((name) => scores[name]);
    if (!query.message || !kinds.length) return bonus;
    const repeated = new Set(byWord);
    const chosen = new Set();
    gifs.forEach((gif, i) => repeated.has(gif) && chosen.add(i));
    for (const name of kinds) {
      const known = Float32Array.from(scores[name], (score) => (Number.isNaN(score) ? -Infinity : score));
      for (const i of highest(known, compared)) chosen.add(i);
    }
    const { text } = query.message;
    const length = Math.min(1, countLetters(text) / full_length);
    for (const i of chosen) {
      const alike = likeness(text, this.textsOf(gifs[i], scores), this.constants);
      bonus[i] = (by_letter * length * Math.max(0, alike - alike_from)) / (1 - alike_from);
    }
    return bonus;
  }

  textsOf(gif, scores) {
    const { catalog } = this.collection;
    const texts = scores.words ? catalog.textsOf(gif).map((text) => text.text) : [];
    if (scores.names) texts.push(catalog.columns.title[gif], catalog.columns.name[gif].split(":")[0]);
    return texts;
  }

  /** The order with its first places spread over the reactions called for; `nFixed` stay. */
  varied(order, nFixed, gifs, probability, reactions) {
    const { varied, varied_from, variety, sure_kind } = this.constants;
    const { kinds } = this.collection;
    const width = reactions.length;
    const expressed = (i, r) => Math.min(1, kinds[gifs[i] * width + r] / sure_kind);
    const fixed = order.slice(0, nFixed);
    const first = order.slice(nFixed, nFixed + varied_from);
    const rest = order.slice(nFixed + varied_from);
    const uncovered = Float64Array.from(reactions);
    const cover = (i) => uncovered.forEach((left, r) => (uncovered[r] = left * (1 - expressed(i, r))));
    fixed.forEach(cover);
    const most = Math.max(1e-9, ...first.map((i) => probability[i]));
    const chosen = [];
    while (first.length && chosen.length < varied) {
      let best = 0, bestValue = -Infinity;
      first.forEach((i, place) => {
        let gain = 0;
        for (let r = 0; r < width; r++) gain += expressed(i, r) * uncovered[r];
        const value = ((1 - variety) * probability[i]) / most + variety * gain;
        if (value > bestValue) [best, bestValue] = [place, value];
      });
      const [i] = first.splice(best, 1);
      chosen.push(i);
      cover(i);
    }
    return [...fixed, ...chosen, ...first, ...rest];
  }
}

/** The numbers of the marked ones, ascending. */
function take(marked) {
  const numbers = [];
  for (let i = 0; i < marked.length; i++) if (marked[i]) numbers.push(i);
  return numbers;
}
