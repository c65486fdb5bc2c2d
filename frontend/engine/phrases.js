// Names and words by letter: SQLite's full-text index (FTS5) in small, and how alike texts are.
// A port of retrieval.signals.phrases; tokens are those of its tokenizer, unicode61.

const K1 = 1.2, B = 0.75; // of FTS5's bm25()
const SPLIT = -1; // between the name and the words of a GIF, which a phrase does not cross
const WORD = /[\p{L}\p{N}_']+/gu;
const TOKEN = /[\p{L}\p{N}\p{Co}]+/gu;
const NO_LETTER = /[^\p{L}\p{N}]+/gu;
const LATIN = /[\u00c0-\u024f\u1e00-\u1eff]/g;
const MARKS = /[\u0300-\u0331]/g;

/** Drop apostrophes: file names have none, and people leave them out. */
function plain(text) {
  return text.replace(/['’]/g, "");
}

/** The tokens of a text: runs of letters and digits, lower case, without diacritics. */
export function tokensOf(text) {
  const folded = plain(text).replace(LATIN, (letter) => letter.normalize("NFD")).replace(MARKS, "");
  return folded.toLowerCase().match(TOKEN) ?? [];
}

export class Phrases {
  /** `texts` are [name, words] of each GIF. */
  constructor(texts, constants) {
    this.constants = constants;
    this.n = texts.length;
    this.ids = new Map(); // token → number
    const flat = [];
    this.starts = new Int32Array(this.n + 1);
    this.lengths = new Int32Array(this.n);
    texts.forEach((columns, gif) => {
      columns.forEach((column, number) => {
        if (number) flat.push(SPLIT);
        for (const token of tokensOf(column)) {
          if (!this.ids.has(token)) this.ids.set(token, this.ids.size);
          flat.push(this.ids.get(token));
          this.lengths[gif]++;
        }
      });
      this.starts[gif + 1] = flat.length;
    });
    this.tokens = Int32Array.from(flat);
    this.averageLength = this.lengths.reduce((sum, n) => sum + n, 0) / (this.n || 1);
    this.indexTokens();
  }

  /** The GIFs with each token, one after the other: those of token t from `first[t]` on. */
  indexTokens() {
    const last = new Int32Array(this.ids.size).fill(-1);
    const counts = new Int32Array(this.ids.size + 1);
    const visit = (see) => {
      last.fill(-1);
      for (let gif = 0; gif < this.n; gif++) {
        for (let at = this.starts[gif]; at < this.starts[gif + 1]; at++) {
          const token = this.tokens[at];
          if (token === SPLIT || last[token] === gif) continue;
          last[token] = gif;
          see(token, gif);
        }
      }
    };
    visit((token) => counts[token + 1]++);
    for (let token = 0; token < this.ids.size; token++) counts[token + 1] += counts[token];
    this.first = counts;
    this.gifs = new Int32Array(counts[this.ids.size]);
    const at = counts.slice();
    visit((token, gif) => (this.gifs[at[token]++] = gif));
  }

  gifsWith(token) {
    return this.gifs.subarray(this.first[token], this.first[token + 1]);
  }

  /** The GIFs whose name or words contain a phrase, word by word, ascending. */
  containing(phrase) {
    const tokens = tokensOf((phrase.match(WORD) ?? []).join(" ")).map((token) => this.ids.get(token));
    if (!tokens.length || tokens.includes(undefined)) return [];
    const size = (token) => this.first[token + 1] - this.first[token];
    const rarest = tokens.reduce((best, token) => (size(token) < size(best) ? token : best));
    return [...this.gifsWith(rarest)].filter((gif) => this.standsIn(tokens, gif));
  }

  standsIn(tokens, gif) {
    for (let at = this.starts[gif]; at + tokens.length <= this.starts[gif + 1]; at++) {
      if (tokens.every((token, i) => this.tokens[at + i] === token)) return true;
    }
    return false;
  }

  /** The `n` GIFs that share the rarest words with a message, by BM25. */
  candidates(message, n) {
    const { max_words, max_rare, max_gifs } = this.constants;
    const words = new Set((message.toLowerCase().match(WORD) ?? []).map(plain));
    const rare = [...words].slice(0, max_words)
      .filter((word) => this.ids.has(word))
      .map((word) => [this.gifsWith(this.ids.get(word)).length, word])
      .filter(([count]) => count <= max_gifs)
      .sort((a, b) => a[0] - b[0] || (a[1] < b[1] ? -1 : 1))
      .slice(0, max_rare);
    const scores = this.bm25(rare.map(([, word]) => this.ids.get(word)));
    return [...scores.keys()].sort((a, b) => scores.get(b) - scores.get(a) || a - b).slice(0, n);
  }

  /** GIF → score, of those that have at least one of the tokens. */
  bm25(tokens) {
    const scores = new Map();
    for (const token of tokens) {
      const gifs = this.gifsWith(token);
      const rarity = Math.log((this.n - gifs.length + 0.5) / (gifs.length + 0.5));
      const weight = rarity > 0 ? rarity : 1e-6;
      for (const gif of gifs) {
        let count = 0;
        for (let at = this.starts[gif]; at < this.starts[gif + 1]; at++) if (this.tokens[at] === token) count++;
        const length = 1 - B + (B * this.lengths[gif]) / this.averageLength;
        scores.set(gif, (scores.get(gif) ?? 0) + (weight * count * (K1 + 1)) / (count + K1 * length));
      }
    }
    return scores;
  }
}

const KEPT_TRIGRAMS = 4096; // of texts, which are compared again and again
const kept = new Map();

function trigrams(text) {
  let found = kept.get(text);
  if (found) return found;
  const letters = [...text.toLowerCase().replace(NO_LETTER, "")];
  found = new Set();
  for (let i = 0; i < Math.max(1, letters.length - 2); i++) found.add(letters.slice(i, i + 3).join(""));
  kept.set(text, found);
  if (kept.size > KEPT_TRIGRAMS) kept.delete(kept.keys().next().value);
  return found;
}

/** How alike the letters of a message and of the likest text are, 0 to 1. */
export function likeness(message, texts, { long, contained }) {
  const own = trigrams(message);
  let best = 0;
  for (const text of texts) {
    const other = trigrams(text);
    let both = 0;
    for (const part of other) if (own.has(part)) both++;
    const dice = (2 * both) / Math.max(1, own.size + other.size);
    best = Math.max(best, dice, other.size >= long ? (contained * both) / other.size : 0);
  }
  return best;
}

/** How many letters and digits a text has. */
export function countLetters(text) {
  return (text.match(/[\p{L}\p{N}]/gu) ?? []).length;
}
