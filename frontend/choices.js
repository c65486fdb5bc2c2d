// Which GIF of each group of look-alikes stays, as the visitor chose. The browser remembers it;
// nothing is changed on the server.

/** Choices: group id → {keep: GIF id, leave: [[GIF id, title]]}, remembered for a library. */
export class Choices {
  constructor(library, storage = localStorageOrNull()) {
    this._key = `reaction-keep:${library}`;
    this._storage = storage;
    this._groups = {};
    try {
      const stored = JSON.parse(storage?.getItem(this._key) ?? "{}");
      for (const [group, choice] of Object.entries(stored ?? {})) {
        if (typeof choice?.keep === "string" && Array.isArray(choice.leave)) this._groups[group] = choice;
      }
    } catch { /* what another program wrote there is no choice */ }
  }

  /** The GIF of a group that stays; null if all of them do. */
  kept(groupId) {
    return this._groups[groupId]?.keep ?? null;
  }

  /** Keep one GIF of a group, or all of them (null). */
  keep(group, id) {
    if (id === null) delete this._groups[group.id];
    else {
      const others = group.gifs.filter((gif) => gif.id !== id);
      this._groups[group.id] = { keep: id, leave: others.map((gif) => [gif.id, gif.title]) };
    }
    this._store();
  }

  forget() {
    this._groups = {};
    this._store();
  }

  /** The others: [[GIF id, title]]. Those of groups that a rebuild has thinned stay listed. */
  get left() {
    return Object.values(this._groups).flatMap((choice) => choice.leave);
  }

  /** The list for --leave-out: an id a line, each after its title as a comment. */
  list(header) {
    const comment = (text) => `# ${String(text).replace(/\s+/g, " ")}`;
    return [comment(header), ...this.left.flatMap(([id, title]) => [comment(title), id])].join("\n") + "\n";
  }

  _store() {
    try {
      this._storage?.setItem(this._key, JSON.stringify(this._groups));
    } catch { /* private windows: the choices last as long as the page */ }
  }
}

function localStorageOrNull() {
  try {
    return window.localStorage;
  } catch {
    return null;
  }
}
