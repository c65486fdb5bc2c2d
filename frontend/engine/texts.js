// Sentences in the visitor's language, filled in as Python's str.format does it.

/** `{name}` and `{name:.2f}` are replaced. */
export function fill(text, values = {}) {
  return text.replace(/\{(\w+)(?::\.(\d)f)?\}/g, (whole, name, digits) => {
    const value = values[name];
    return value === undefined ? whole : digits === undefined ? String(value) : Number(value).toFixed(Number(digits));
  });
}

/** t(language, key, values) over the texts of data.json. */
export function translator(texts) {
  const first = Object.keys(texts)[0];
  return (language, key, values) => fill((texts[language] ?? texts[first])[key] ?? key, values);
}
