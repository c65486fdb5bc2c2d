// The language of a message by its script: retrieval.web.languages without CLD2, so that a message
// in Latin script is taken as it is.

/** A function from a message to a key of `by_language`, or null: it may be English. */
export function languageReader({ scripts, other_script }) {
  const known = Object.keys(scripts);
  const tests = ["Latin", ...known].map((name) => [name, new RegExp(`\\p{Script=${name}}`, "u")]);
  const scriptOf = (letter) => tests.find(([, test]) => test.test(letter.normalize("NFKC")))?.[0] ?? "Other";

  return (message) => {
    const letters = new Map();
    let before = "", run = 0;
    const end = () => {
      // Emoticons borrow single letters, but not those of Hangul.
      if (before && (run > 1 || before === "Latin" || before === "Hangul")) letters.set(before, (letters.get(before) ?? 0) + run);
    };
    for (const char of message) {
      if (/\p{M}/u.test(char)) continue; // vowel signs and accents belong to the letter before
      const script = /[\p{Lu}\p{Ll}\p{Lt}\p{Lo}]/u.test(char) ? scriptOf(char) : "";
      if (script !== before) {
        end();
        [before, run] = [script, 0];
      }
      run++;
    }
    end();
    if (letters.has("Hiragana") || letters.has("Katakana")) { // Japanese mixes three scripts
      const all = ["Hiragana", "Katakana", "Han"].reduce((sum, name) => sum + (letters.get(name) ?? 0), 0);
      letters.delete("Katakana");
      letters.delete("Han");
      letters.set("Hiragana", all);
    }
    const total = [...letters.values()].reduce((sum, n) => sum + n, 0);
    const [script, n] = [...letters].sort((a, b) => b[1] - a[1])[0] ?? ["Latin", 0];
    if (script === "Latin" || 2 * n <= total) return null;
    return scripts[script] ?? other_script;
  };
}
