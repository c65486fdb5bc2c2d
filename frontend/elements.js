// Small helpers of the library page: elements without markup in strings, texts, sizes.

/** An element with attributes and children; text children show as text, never as markup. */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : String(value));
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** A text with {name} replaced by values. */
export const fill = (text, values) => text.replace(/\{(\w+)\}/g, (whole, key) => values[key] ?? whole);

/** What the parts of a page share: texts, numbers in the visitor's language, addresses. */
export class Words {
  constructor({ base, lang, texts }) {
    Object.assign(this, { base, lang, texts });
    this._integers = new Intl.NumberFormat(lang);
    this._short = new Intl.NumberFormat(lang, { maximumSignificantDigits: 3 });
  }

  text(key, values = {}) {
    const shown = Object.entries(values).map(([name, value]) => [
      name, typeof value === "number" ? this._integers.format(value) : value,
    ]);
    return fill(this.texts[key] ?? key, Object.fromEntries(shown));
  }

  number(value) {
    return this._integers.format(value);
  }

  short(value) {
    return this._short.format(value);
  }

  bytes(n) {
    for (const [unit, size] of [["GB", 1e9], ["MB", 1e6], ["kB", 1e3]]) {
      if (n >= size) return `${this._short.format(n / size)} ${unit}`;
    }
    return `${n} B`;
  }

  address(path) {
    return new URL(path, this.base).href;
  }

  /** The search page, with results like this GIF. */
  likeAddress(id) {
    const address = new URL(this.base);
    address.searchParams.set("like", id.slice(0, 16));
    if (this.lang !== "en") address.searchParams.set("lang", this.lang);
    return address.href;
  }
}

/** The JSON at a path, and whether the answer is still being computed. */
export async function fetchJson(words, path, signal) {
  const response = await fetch(words.address(path), { signal });
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) {
    throw Object.assign(new Error(answer.detail || response.statusText), { status: response.status });
  }
  return { answer, pending: response.status === 202 };
}

/** A picture that is tried again when the server was busy, and hidden when there is none. */
export function picture(words, path, attributes = {}) {
  let tries = 3;
  const image = element("img", { loading: "lazy", decoding: "async", draggable: "false", alt: "", ...attributes });
  const address = words.address(path);
  image.addEventListener("error", () => {
    tries -= 1;
    image.classList.add("broken"); // no icon of the browser's meanwhile
    if (tries > 0) setTimeout(() => { if (image.isConnected) image.src = address; }, 4000);
  });
  image.addEventListener("load", () => image.classList.remove("broken"));
  image.src = address;
  return image;
}

export const stillsOnly = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

export const pause = (ms, signal) =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal?.addEventListener("abort", () => { clearTimeout(timer); resolve(); }, { once: true });
  });
