// Orders that need no question: as catalogued, by a reaction, by chance (retrieval.search.browsing).

import { bestFirst } from "./arrays.js";
import { Refusal } from "./refusal.js";

/** {gifs, scores}: all GIFs in order, and the reaction's part in what each expresses. */
export function browsingOrder({ n, kinds }, names, reaction, seed) {
  const gifs = Int32Array.from({ length: n }, (_, gif) => gif);
  const scores = new Float32Array(n);
  if (reaction) {
    const number = names.indexOf(reaction);
    if (!kinds) throw new Refusal(422, "engine_unknown_reaction", { reaction });
    for (let gif = 0; gif < n; gif++) scores[gif] = kinds[gif * names.length + number];
    return { gifs: bestFirst(gifs, (gif) => scores[gif]), scores };
  }
  if (seed === null) return { gifs, scores };
  shuffle(gifs, seed);
  return { gifs: kinds ? inTurns(gifs, kinds, names.length) : gifs, scores };
}

/** In place, the same for the same seed (mulberry32, Fisher and Yates). */
function shuffle(gifs, seed) {
  let state = (seed ^ Math.floor(seed / 2 ** 32)) >>> 0;
  const random = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  for (let i = gifs.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [gifs[i], gifs[j]] = [gifs[j], gifs[i]];
  }
}

/** The order in which each GIF's main reaction takes turns with the others. */
function inTurns(gifs, kinds, width) {
  const counts = new Int32Array(width);
  const turns = new Int32Array(gifs.length); // by GIF
  for (const gif of gifs) {
    let main = 0;
    for (let r = 1; r < width; r++) if (kinds[gif * width + r] > kinds[gif * width + main]) main = r;
    turns[gif] = counts[main]++;
  }
  return Array.from(gifs).sort((a, b) => turns[a] - turns[b]); // stable
}
