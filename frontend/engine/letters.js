// An answer before the model is there: by the words of names, tags and pictures, by emoji, and by
// the titles of reactions. It is shown until the search by meaning can answer.

import { bestFirst } from "./arrays.js";
import { likeness, tokensOf } from "./phrases.js";

const MIN_PREFIX = 3; // letters of a last word that may still be typed
const MAX_COMPLETED = 20; // words that it may become
const BY_EMOJI = 10, BY_REACTION = 5, BY_LIKENESS = 10; // beside BM25, whose words count 2 to 8

/** The GIFs that a message names, best first. `titles` are the reactions' by language. */
export function namedBy(message, collection, titles, constants) {
  const { catalog, phrases, kinds } = collection;
  const tokens = tokensOf(message);
  const scores = phrases.bm25(knownTokens(tokens, phrases));
  const add = (gif, more) => scores.set(gif, (scores.get(gif) ?? 0) + more);
  for (const gif of scores.keys()) {
    const { title, name } = catalog.columns;
    const texts = [title[gif], name[gif].split(":")[0], ...catalog.textsOf(gif).map((text) => text.text)];
    add(gif, BY_LIKENESS * Math.max(0, likeness(message, texts, constants) - constants.alike_from));
  }
  catalog.columns.emoji.forEach((emoji, gif) => emoji && message.includes(emoji) && add(gif, BY_EMOJI));
  const said = ` ${tokens.join(" ")} `;
  const names = Object.values(titles);
  const isSaid = (title) => said.includes(` ${tokensOf(title).join(" ")} `);
  names[0].forEach((_, reaction) => {
    if (!kinds || !names.some((of) => isSaid(of[reaction]))) return;
    for (let gif = 0; gif < collection.n; gif++) {
      const expressed = kinds[gif * names[0].length + reaction];
      if (expressed >= constants.sure_kind) add(gif, BY_REACTION * expressed);
    }
  });
  return bestFirst([...scores.keys()], (gif) => scores.get(gif));
}

/** The numbers of the tokens that occur; of the last one also what it may become. */
function knownTokens(tokens, phrases) {
  const found = new Set();
  tokens.forEach((token, place) => {
    if (phrases.ids.has(token)) found.add(phrases.ids.get(token));
    else if (place === tokens.length - 1 && token.length >= MIN_PREFIX) {
      for (const [word, number] of phrases.ids) {
        if (word.startsWith(token)) found.add(number);
        if (found.size > MAX_COMPLETED) break;
      }
    }
  });
  return [...found];
}
