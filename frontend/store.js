// Recent and favourite GIFs, in the visitor's own browser; nothing of it reaches the server.

const KEY = "reaction-search-kept";
const RECENT = 24;
const FAVOURITES = 200;

export class Kept {
  constructor() {
    this.listeners = new Set();
    addEventListener("storage", (event) => event.key === KEY && this.tell());
  }

  read() {
    try {
      const { recent, favourites } = JSON.parse(localStorage.getItem(KEY) ?? "{}");
      return { recent: onlyGifs(recent), favourites: onlyGifs(favourites) };
    } catch {
      return { recent: [], favourites: [] }; // damaged, or this browser keeps nothing
    }
  }

  write(kept) {
    try {
      localStorage.setItem(KEY, JSON.stringify(kept));
    } catch {
      // This browser keeps nothing (private window, full disk): the row stays empty.
    }
    this.tell();
  }

  tell() {
    this.listeners.forEach((listener) => listener());
  }

  /** Favourites first, then what was taken last. */
  all() {
    const { recent, favourites } = this.read();
    const ids = new Set(favourites.map((gif) => gif.id));
    return [...favourites, ...recent.filter((gif) => !ids.has(gif.id))];
  }

  took(gif) {
    if (gif.blob) return; // the visitor's own: it is not on the server
    const kept = this.read();
    kept.recent = [summary(gif), ...kept.recent.filter((other) => other.id !== gif.id)].slice(0, RECENT);
    this.write(kept);
  }

  isFavourite(gif) {
    return this.read().favourites.some((other) => other.id === gif.id);
  }

  toggleFavourite(gif) {
    const kept = this.read();
    const others = kept.favourites.filter((other) => other.id !== gif.id);
    const added = others.length === kept.favourites.length;
    kept.favourites = added ? [summary(gif), ...others].slice(0, FAVOURITES) : others;
    this.write(kept);
    return added;
  }

  /** Forget one, such as a GIF that the library no longer has. */
  drop(gif) {
    const { recent, favourites } = this.read();
    const stays = (other) => other.id !== gif.id;
    this.write({ recent: recent.filter(stays), favourites: favourites.filter(stays) });
  }

  clear() {
    this.write({ recent: [], favourites: [] });
  }
}

// Another version of this page, or the visitor, may have written something else there.
function onlyGifs(list) {
  return Array.isArray(list) ? list.filter((gif) => typeof gif?.id === "string" && typeof gif.title === "string") : [];
}

function summary(gif) {
  const { id, title, width, height, film, animated, file, file_name, is_web, thumb, preview, still } = gif;
  return { id, title, width, height, film, animated, file, file_name, is_web, thumb, preview, still };
}
