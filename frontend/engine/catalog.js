// The catalogue: records by number, filters, groups of near-duplicates.

export class Catalog {
  /** `columns` as retrieval.site.catalog writes them; `isOwn`: a visitor's own pictures. */
  constructor(columns, isOwn = false) {
    this.columns = columns;
    this.isOwn = isOwn;
    this.n = columns.id.length;
    this.groups = Int32Array.from(columns.group);
    this.members = new Map(); // of groups with more than one GIF, by their leader
    for (let gif = 0; gif < this.n; gif++) {
      const leader = this.groups[gif];
      if (leader === gif) continue;
      if (!this.members.has(leader)) this.members.set(leader, [leader]);
      this.members.get(leader).push(gif);
    }
    this.webSources = new Set(columns.web_sources);
  }

  /** The number of the first GIF whose id starts so, or -1. */
  find(prefix) {
    return prefix ? this.columns.id.findIndex((id) => id.startsWith(prefix)) : -1;
  }

  tagsOf(gif) {
    const { values, of } = this.columns.tags;
    return of[gif].map((number) => values[number]);
  }

  valueOf(column, gif) {
    const { values, of } = this.columns[column];
    return values[of[gif][0]];
  }

  /** Texts read in the pictures: {text, frame, time_ms, confidence, box}. */
  textsOf(gif) {
    return (this.columns.texts[gif] ?? []).map(([text, frame, time_ms, confidence, ...box]) => ({
      text, frame, time_ms, confidence, box,
    }));
  }

  /** Which GIFs a filter allows, a byte each; null if all. */
  mask(keep) {
    let mask = null;
    const and = (allows) => {
      const before = mask;
      mask = new Uint8Array(this.n);
      for (let gif = 0; gif < this.n; gif++) mask[gif] = (!before || before[gif]) && allows(gif) ? 1 : 0;
    };
    for (const [column, wanted] of [["tags", keep.tags], ["license", keep.licenses], ["source", keep.sources]]) {
      if (!wanted.length) continue;
      const { values, of } = this.columns[column];
      const numbers = new Set(wanted.map((value) => values.indexOf(value)));
      and((gif) => of[gif].some((number) => numbers.has(number)));
    }
    if (keep.animatedOnly) and((gif) => this.columns.n_frames[gif] > 1);
    return mask;
  }

  /** The numbers without those of a group that came before. */
  oneOfEachGroup(gifs) {
    const seen = new Set();
    return gifs.filter((gif) => !seen.has(this.groups[gif]) && seen.add(this.groups[gif]));
  }

  /** The other GIFs of a GIF's group that are allowed. */
  alike(gif, allowed) {
    const members = this.members.get(this.groups[gif]) ?? [];
    return members.filter((other) => other !== gif && (!allowed || allowed[other]));
  }
}
