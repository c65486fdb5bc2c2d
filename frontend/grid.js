// The grid of GIFs: masonry, of which only the cards near the screen exist, without an end.

import { Masonry } from "./layout.js";
import { el, scrollerOf } from "./dom.js";
import { renderCard } from "./card.js";

const BEYOND = 1; // screens above and below the visible one whose cards exist
const FETCH_AHEAD = 1; // screens before the end at which more are asked for
const ARROWS = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"];

export class Grid {
  /**
   * `render(gif, page)` makes a card; `fetchMore()` is called near the end, `leave()` when ArrowUp
   * leaves, `scrolled()` while the visitor scrolls.
   */
  constructor(page, { render = renderCard, fetchMore = () => {}, leave = () => {}, scrolled = () => {}, label = "" } = {}) {
    this.page = page;
    this.render = render;
    this.fetchMore = fetchMore;
    this.leave = leave;
    this.scrolled = scrolled;
    this.element = el("div", { className: "grid", role: "list", "aria-label": label });
    this.gifs = [];
    this.cards = new Map(); // number → element
    this.current = 0; // the card that Tab leads to
    this.masonry = new Masonry(0);
    this.onScroll = this.onScroll.bind(this);
    this.element.addEventListener("keydown", (event) => this.onKey(event));
    this.element.addEventListener("focusin", (event) => this.onFocus(event));
    this.observer = new ResizeObserver(() => this.onResize());
    this.observer.observe(this.element);
  }

  /** Listen to the element that scrolls; again after the grid has moved within the page. */
  attach() {
    this.scroller?.removeEventListener("scroll", this.onScroll);
    this.scroller = scrollerOf(this.element);
    const target = this.scroller === document.scrollingElement ? document : this.scroller;
    target.addEventListener("scroll", this.onScroll, { passive: true });
    this.draw();
  }

  destroy() {
    this.observer.disconnect();
    this.scroller?.removeEventListener("scroll", this.onScroll);
  }

  /** Show these GIFs instead of what was shown. */
  set(gifs) {
    const hadFocus = this.focused() >= 0;
    this.cards.forEach((card) => card.remove());
    this.cards.clear();
    this.gifs = [];
    this.current = 0;
    this.masonry = new Masonry(this.element.clientWidth);
    this.add(gifs);
    if (hadFocus && !this.focus(0)) this.leave();
  }

  add(gifs) {
    for (const gif of gifs) {
      this.gifs.push(gif);
      this.masonry.add(gif.width / gif.height);
    }
    this.draw();
  }

  onResize() {
    const width = this.element.clientWidth;
    if (!width || width === this.width) return;
    this.width = width;
    this.masonry = new Masonry(width);
    for (const gif of this.gifs) this.masonry.add(gif.width / gif.height);
    for (const [number, card] of this.cards) this.place(card, number);
    this.draw();
  }

  onScroll() {
    this.scrolled();
    this.schedule();
  }

  schedule() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      this.draw();
    });
  }

  /**
   * Make the cards near the screen, and drop those far from it. Those on the screen come first, and
   * the others after they are painted: all at once would take 50 ms, in which no key is heard.
   */
  draw({ reach = 0 } = {}) {
    this.element.style.height = `${this.masonry.height}px`;
    if (!this.element.isConnected || !this.masonry.cardWidth) return;
    const screen = this.scroller?.clientHeight || innerHeight;
    const top = this.visibleTop();
    const within = (screens) => new Set(this.masonry.within(top - screens * screen, top + (1 + screens) * screen));
    const near = within(BEYOND);
    near.add(this.focused()); // what has the focus stays
    for (const [number, card] of this.cards) {
      if (near.has(number)) continue;
      card.remove();
      this.cards.delete(number);
    }
    const now = within(reach);
    for (const number of near) {
      if (now.has(number) || this.cards.has(number)) continue;
      near.delete(number);
      if (number >= 0) this.drawOthers();
    }
    let before = null; // in order, so that Tab and screen readers go from rank to rank
    for (const number of [...near].filter((n) => n >= 0).sort((a, b) => a - b)) {
      let card = this.cards.get(number);
      if (!card) {
        card = this.render(this.gifs[number], this.page);
        card.number = number;
        card.setAttribute("aria-posinset", number + 1);
        card.takeButton.tabIndex = number === this.current ? 0 : -1;
        this.place(card, number);
        this.cards.set(number, card);
        if (before) before.after(card);
        else this.element.prepend(card);
      }
      card.setAttribute("aria-setsize", this.page.next ? -1 : this.gifs.length); // -1: not known yet
      before = card;
    }
    if (top + (1 + FETCH_AHEAD) * screen > this.masonry.height) this.fetchMore();
  }

  drawOthers() {
    this.others ??= requestAnimationFrame(() =>
      setTimeout(() => {
        this.others = null;
        this.draw({ reach: BEYOND });
      }),
    );
  }

  place(card, number) {
    const { x, y, height } = this.masonry.boxes[number];
    Object.assign(card.style, {
      transform: `translate(${x}px, ${y}px)`,
      width: `${this.masonry.cardWidth}px`,
      height: `${height}px`,
    });
  }

  /** The pixel of the grid at the upper edge of the screen. */
  visibleTop() {
    const edge = this.scroller && this.scroller !== document.scrollingElement ? this.scroller.getBoundingClientRect().top : 0;
    return edge - this.element.getBoundingClientRect().top;
  }

  focused() {
    const card = this.element.getRootNode().activeElement?.closest?.(".card");
    return card?.number ?? -1;
  }

  /** Move the focus to a card; returns false if there is none. */
  focus(number = this.current) {
    if (!this.gifs.length) return false;
    this.setCurrent(Math.min(number, this.gifs.length - 1));
    if (!this.cards.has(this.current)) this.scrollTo(this.current);
    this.cards.get(this.current)?.takeButton.focus();
    return true;
  }

  scrollTo(number) {
    const { y } = this.masonry.boxes[number];
    this.scroller.scrollTop += y - this.visibleTop() - this.scroller.clientHeight / 3;
    this.draw();
  }

  setCurrent(number) {
    const before = this.cards.get(this.current);
    if (before) before.takeButton.tabIndex = -1;
    this.current = number;
    const card = this.cards.get(number);
    if (card) card.takeButton.tabIndex = 0;
  }

  onFocus(event) {
    const card = event.target.closest(".card");
    if (card && card.number !== this.current) this.setCurrent(card.number);
  }

  onKey(event) {
    if (!ARROWS.includes(event.key) || event.altKey || event.ctrlKey || event.metaKey) return;
    const card = event.target.closest(".card");
    if (!card) return;
    event.preventDefault();
    const next = this.masonry.neighbour(card.number, event.key);
    if (next !== card.number) this.focus(next);
    else if (event.key === "ArrowUp") this.leave();
  }

  /** Show moving pictures or stills, as the page says now. */
  refreshMotion() {
    for (const card of this.cards.values()) card.picture?.setMoving(this.page.isMoving());
  }
}
