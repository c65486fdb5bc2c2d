// A message as the tokenizer gets it: retrieval.encoders.tokenizer's clean_text and spell_out.
// Of ftfy what concerns typed text is here; text that was decoded wrongly is left as it is.

const TONES = /[\u{1f3fb}-\u{1f3ff}]/gu;
const SINGLE_QUOTES = /[\u02bc\u2018-\u201b]/g, DOUBLE_QUOTES = /[\u201c-\u201f]/g;
const TERMINAL_ESCAPES = /\x1b\[[\d;]*[a-zA-Z]/g;
const CONTROLS = /[\x00-\x08\x0b\x0e-\x1f\x7f\u206a-\u206f\ufeff\ufff9-\ufffc]/g;
const REFERENCE = /&(?:#(\d{1,7})|#[xX]([0-9a-fA-F]{1,6})|(\w+));/g;
const PUNCTUATION = /[!"#$%&'()*+,\-./:;<=>?@[\\\]^`{|}~]/g;
const JOINER = "\u200d", VARIANTS = ["\ufe0e", "\ufe0f"];

/** {clean(text, cleaning), spellOut(text)} with the tables of cleaning.json. */
export function cleanerOf({ emoji, characters, entities }) {
  const tree = treeOf(emoji);
  const replaced = new RegExp(`[${Object.keys(characters).join("")}]`, "gu");

  function unescaped(text) {
    return text.replace(REFERENCE, (whole, decimal, hexadecimal, name) => {
      if (name) return entities[name] ?? whole;
      const code = decimal ? Number(decimal) : parseInt(hexadecimal, 16);
      return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : whole;
    });
  }

  function clean(text, cleaning) {
    text = text.replace(TERMINAL_ESCAPES, "").replace(replaced, (char) => characters[char]);
    text = text.replace(DOUBLE_QUOTES, '"').replace(SINGLE_QUOTES, "'").replace(CONTROLS, "").normalize("NFC");
    text = unescaped(unescaped(text));
    if (cleaning === "canonicalize") text = text.replaceAll("_", " ").replace(PUNCTUATION, "");
    text = words(text);
    return cleaning === "whitespace" ? text : text.toLowerCase();
  }

  /** The text with each emoji replaced by its name; skin tones are dropped. */
  function spellOut(text) {
    const chars = [...text.replace(TONES, "")];
    let named = "";
    let isAfterEmoji = false;
    for (let at = 0; at < chars.length; ) {
      const found = longest(tree, chars, at);
      if (found) named += ` ${found.name} `;
      else if (!VARIANTS.includes(chars[at]) && !(isAfterEmoji && chars[at] === JOINER)) named += chars[at];
      isAfterEmoji = Boolean(found);
      at += found?.length ?? 1;
    }
    return named === text ? named : words(named);
  }

  return { clean, spellOut };
}

function words(text) {
  return text.split(/[\s\x85]+/).filter(Boolean).join(" ");
}

function treeOf(emoji) {
  const tree = new Map();
  for (const [sign, name] of Object.entries(emoji)) {
    let branch = tree;
    for (const char of sign) {
      if (!branch.has(char)) branch.set(char, new Map());
      branch = branch.get(char);
    }
    branch.name = name;
  }
  return tree;
}

/**
 * The emoji that starts here: what the tree leads to, or, of a sequence that it does not know to the
 * end, what stands before a joiner. {name, length in characters}, or null.
 */
function longest(tree, chars, start) {
  let at = start, branch = tree, beforeJoiner = null;
  while (at < chars.length && branch.has(chars[at])) {
    if (chars[at] === JOINER && branch.name) beforeJoiner = { name: branch.name, length: at - start };
    branch = branch.get(chars[at++]);
  }
  return branch.name ? { name: branch.name, length: at - start } : beforeJoiner;
}
