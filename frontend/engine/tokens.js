// Texts to token numbers, as retrieval.encoders.tokenizer does it with the same tokenizer.json.

export class Tokens {
  /** `tokenizer` is one of @huggingface/tokenizers, `settings` are TokenSettings and `min_width`. */
  constructor(tokenizer, settings, cleaner) {
    Object.assign(this, { tokenizer, settings, cleaner });
    if (settings.kind === "hf") this.findSpecial();
  }

  /** The special tokens around a text: a cut must keep them. */
  findSpecial() {
    const empty = this.tokenizer.encode("").ids;
    const some = this.tokenizer.encode("a").ids;
    let n = 0;
    while (n < empty.length && empty[n] === some[n]) n++;
    this.after = empty.slice(n);
  }

  /** {ids: BigInt64Array (n × width), n, width}. */
  encode(texts) {
    const { settings } = this;
    const rows = texts.map((text) => this.idsOf(text));
    let width = settings.context_length;
    if (settings.trim) width = Math.min(width, Math.max(settings.min_width, ...rows.map((row) => row.length)));
    const ids = new BigInt64Array(rows.length * width).fill(BigInt(settings.pad_id));
    rows.forEach((row, number) => row.forEach((id, i) => (ids[number * width + i] = BigInt(id))));
    if (settings.zeroed_id !== null) ids.forEach((id, i) => id === BigInt(settings.zeroed_id) && (ids[i] = 0n));
    return { ids, n: rows.length, width };
  }

  idsOf(text) {
    const { clean, spell_out_emoji, context_length: most, kind, start_id, end_id } = this.settings;
    if (spell_out_emoji) text = this.cleaner.spellOut(text);
    const { ids } = this.tokenizer.encode(this.cleaner.clean(text, clean));
    if (kind === "clip") {
      const all = [start_id, ...ids, end_id];
      return all.length > most ? [...all.slice(0, most - 1), end_id] : all;
    }
    return ids.length > most ? [...ids.slice(0, most - this.after.length), ...this.after] : ids;
  }
}
