// Rows above the grid: the kinds of reaction as moving chips, and recent and favourite GIFs.

import { el, redraw } from "./dom.js";
import { movesWhenPointed, picture } from "./picture.js";
import { renderThumb } from "./card.js";

/** Kinds of reaction, each a link that opens its grid; "surprise me" comes first. */
export class BrowseRow {
  constructor(page) {
    this.page = page;
    this.element = el("nav", { className: "row browse", "aria-label": page.t("browse") });
    this.element.append(this.link(page.t("surprise"), () => ({ surprise: String(1 + Math.floor(Math.random() * 1e6)) }), null, "surprise"));
    this.categories = [];
  }

  async load() {
    try {
      this.categories = await this.page.source.categories();
    } catch {
      return; // the row is an extra: the page works without it
    }
    this.element.append(...this.categories.map(({ name, title, gif }) => this.link(title, () => ({ browse: name }), gif, name)));
    this.mark(this.page.question);
  }

  link(text, change, gif, name) {
    const shown = gif?.thumb ? picture(gif, this.page.source, { size: "thumb", moving: this.page.isMoving(), alt: "" }) : null;
    const link = el(
      "a",
      { className: "pill", href: name === "surprise" ? "?surprise=1" : `?browse=${encodeURIComponent(name)}`, on: { click: (event) => this.open(event, change()) } },
      shown,
      text,
    );
    link.name = name;
    link.picture = shown;
    if (shown) movesWhenPointed(link, shown, this.page);
    return link;
  }

  open(event, change) {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return; // a new tab
    event.preventDefault();
    this.page.ask(change, { settled: true });
  }

  mark(question) {
    for (const link of this.element.children) {
      const isCurrent = link.name === "surprise" ? question.surprise : question.browse === link.name;
      if (isCurrent) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
  }

  refreshMotion() {
    for (const link of this.element.children) link.picture?.setMoving(this.page.isMoving());
  }
}

/** What the visitor took or marked before; shown while nothing has been asked yet. */
export class KeptRow {
  constructor(page) {
    this.page = page;
    this.element = el("section", { className: "row kept", "aria-label": page.t("kept") });
    this.redraw = () => this.draw();
    page.kept.listeners.add(this.redraw);
    this.draw();
  }

  draw() {
    const { t, kept } = this.page;
    const gifs = kept.all();
    this.isEmpty = !gifs.length;
    const toBox = () => this.page.box.focus();
    if (this.isEmpty) {
      this.element.hidden = true;
      return redraw(this.element, [], toBox);
    }
    const thumbs = gifs.map((gif) => {
      const thumb = renderThumb(gif, this.page, gif.title, () => this.page.take(gif, thumb));
      if (kept.isFavourite(gif)) thumb.classList.add("favourite");
      thumb.picture.addEventListener("error", () => kept.drop(gif), { once: true });
      return thumb;
    });
    const clear = el("button", { type: "button", className: "plain", on: { click: () => kept.clear() } }, t("kept_clear"));
    redraw(this.element, [el("span", { className: "label" }, t("kept")), ...thumbs, clear], toBox);
  }

  destroy() {
    this.page.kept.listeners.delete(this.redraw);
  }
}
