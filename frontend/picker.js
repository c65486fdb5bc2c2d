// The picker: a box, what is asked, and the GIFs that answer. It owns the question.

import { Answering } from "./answering.js";
import { Box } from "./box.js";
import { BrowseRow, KeptRow } from "./browse.js";
import { renderChips } from "./chips.js";
import { WhyDialog } from "./dialog.js";
import { el, redraw, translator } from "./dom.js";
import { Filters } from "./filters.js";
import { Grid } from "./grid.js";
import { History } from "./history.js";
import { reducedMotion } from "./picture.js";
import { changed, isMode, isOpening, OPENING, toSearch } from "./question.js";
import { HttpSource } from "./source.js";
import { Kept } from "./store.js";
import { Taking } from "./taking.js";
import { Toast } from "./toast.js";
import { Uploads } from "./uploads.js";
import cards from "./cards.css" with { type: "css" };
import styles from "./picker.css" with { type: "css" };

const PAUSE_MS = 120; // without a key, before a question is asked
const SCROLLED_AFTER_MS = 150; // without scrolling, where the visitor is gets stored

export class Picker extends Answering {
  /**
   * `before` is the picker in another language, to go on where it was. `source` answers; without
   * one the server does.
   */
  constructor(config, { before = null, source = null } = {}) {
    super();
    this.config = config;
    this.texts = config.texts;
    this.t = translator(config.texts);
    this.examples = config.examples;
    this.feedback = config.feedback;
    this.takesPictures = config.pictures !== false; // a page without a server may be unable to
    this.source = source ?? new HttpSource(new URL(config.base, location.origin).href, config.lang);
    this.kept = new Kept();
    this.uploads = new Uploads(this);
    this.taking = new Taking(this);
    this.trouble = []; // sentences about what the visitor did last
    this.history = new History(this);
    this.question = this.history.current();
    if (before) this.takeOver(before);
    this.build();
  }

  /** Go on where the picker in another language was. */
  takeOver(before) {
    this.uploads.takeOver(before.uploads);
    Object.assign(this, { picture: before.picture, question: before.question, beforeMode: before.beforeMode });
  }

  build() {
    const { t } = this;
    this.host = el("div", { className: "reaction-picker" });
    const root = this.host.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [styles, cards];
    this.toast = new Toast();
    this.dialog = new WhyDialog(this);
    this.box = new Box(this.boxPage());
    this.browse = new BrowseRow(this);
    this.keptRow = new KeptRow(this);
    this.filters = new Filters(this);
    this.grid = new Grid(this, { fetchMore: () => this.fetchMore(), leave: () => this.box.focus(), scrolled: () => this.onScrolled(), label: t("results") });
    this.chips = el("div", { className: "chips" });
    this.notes = el("div", { className: "notes", role: "status" });
    this.facts = el("p", { className: "facts-line" });
    this.play = el("input", { type: "checkbox", role: "switch", id: "play", on: { change: () => this.setMoving(this.play.checked) } });
    this.status = el("div", { role: "status", className: "unseen" });
    this.empty = el("div", { className: "empty", hidden: true });
    root.append(
      ...(this.config.about ? [this.renderHeader()] : []), // else the page around has one
      el("div", { className: "top" }, this.box.element, this.box.examples),
      this.browse.element,
      this.keptRow.element,
      el(
        "div",
        { className: "asked" },
        this.chips,
        el("div", { className: "line" }, this.facts, el("label", { htmlFor: "play", className: "switch", title: t("play_help") }, this.play, t("play"))),
      ),
      this.notes,
      this.empty,
      this.grid.element,
      this.status,
      this.filters.element,
      this.dialog.element,
      this.toast.element,
      this.uploads.drop,
    );
    this.listeners = [...(this.takesPictures ? this.uploads.listeners : []), ["keydown", (event) => this.onKey(event)]];
    reducedMotion.addEventListener("change", () => this.refreshMotion());
    this.showQuestion();
  }

  renderHeader() {
    const { t } = this;
    return el(
      "header",
      { role: "none" }, // the page's banner is Streamlit's
      el("h1", {}, t("title")),
      el("a", { href: this.config.about }, t("model_card")),
      el("details", {}, el("summary", {}, t("motivation_title")), el("p", {}, t("motivation"))),
    );
  }

  boxPage() {
    return {
      t: this.t,
      takesPictures: this.takesPictures,
      examples: this.examples,
      ask: (change, options) => this.ask(change, options),
      picture: (file) => this.uploads.ask(file),
      own: (files) => this.uploads.add(files),
      openFilters: (anchor) => this.filters.open(anchor),
    };
  }

  get own() {
    return this.uploads.own;
  }

  // On and off the screen ---------------------------------------------------------------------

  /** Put the picker into an element of the page, below `header` pixels that cover its top. */
  attach(parent, header = 0) {
    this.host.style.setProperty("--reaction-top", `${header}px`);
    if (this.host.parentNode === parent) return;
    const isFirst = !this.isAttached;
    const { selectionStart, selectionEnd } = this.box.input;
    const focused = this.host.shadowRoot.activeElement;
    const scrolled = this.host.isConnected ? this.grid.scroller.scrollTop : 0;
    parent.append(this.host);
    focused?.focus({ preventScroll: true });
    if (focused === this.box.input) focused.setSelectionRange(selectionStart, selectionEnd);
    this.grid.attach();
    if (scrolled) this.grid.scroller.scrollTop = scrolled;
    if (!isFirst) return;
    this.isAttached = true;
    this.history.attach();
    for (const [event, handler] of this.listeners) document.addEventListener(event, handler);
    this.resume();
  }

  /** Take the picker off the screen, for another page; `attach` brings it back as it was. */
  detach() {
    if (!this.isAttached) return;
    clearTimeout(this.pause);
    clearTimeout(this.scrolling);
    this.isAttached = false;
    this.history.detach();
    this.dialog.close();
    for (const [event, handler] of this.listeners) document.removeEventListener(event, handler);
    this.host.remove();
  }

  destroy() {
    this.detach();
    this.history.destroy();
    this.grid.destroy();
    this.keptRow.destroy();
    this.controller?.abort();
  }

  resume() {
    const asked = this.history.current();
    if (!this.answer) {
      this.question = asked;
      this.showQuestion();
      this.source.keep(this.config.first);
      this.search({ view: this.history.state.reactionView });
      this.box.focus({ select: isOpening(asked) });
      return;
    }
    if (isOpening(asked) && !this.history.isOwn) {
      this.history.replace(this.question, this.picture?.number ?? 0); // by a link: the question stays
      this.scrollTo(this.view?.scroll ?? 0);
    } else this.restore(asked, this.history.state);
    if (!matchMedia("(pointer: coarse)").matches) this.box.focus();
  }

  // The question ------------------------------------------------------------------------------

  /** Ask something else. `settled`: by one action, not letter by letter. */
  ask(change, { settled = false, like = null } = {}) {
    const before = this.question;
    if (isMode(before) && "not" in change) change = { q: this.messageBefore(), ...change }; // "but not" needs one
    this.question = changed(before, change);
    if (isMode(this.question) && !isMode(before)) this.beforeMode = { ...before, picture: this.picture };
    if (isMode(this.question)) {
      this.picture = null;
      if (this.own.files.length && !isMode(before)) this.own.reset(); // these are of the library
    }
    if (isMode(this.question) || "q" in change) this.like = like;
    this.trouble = [];
    this.isLeaving = false;
    if (settled) this.askNow();
    else {
      this.box.mark(this.question);
      clearTimeout(this.pause);
      this.isPaused = true;
      this.pause = setTimeout(() => this.askNow(false), PAUSE_MS);
    }
    this.showKept();
  }

  askNow(settled = true) {
    clearTimeout(this.pause);
    this.isPaused = false;
    if (!this.history.isDraft) this.keepView();
    this.history.show(this.question, settled, this.picture?.number);
    if (settled) this.showQuestion();
    return this.search();
  }

  askChat(chat) {
    const isUntouched = isOpening(this.question) && !this.picture;
    this.ask(isUntouched && chat ? { q: "", chat } : { chat }, { settled: true });
  }

  /** The message that was asked before "more like this" and its like. */
  messageBefore() {
    return this.beforeMode?.q ?? OPENING;
  }

  /** Leave "more like this" and its like for what was asked before. */
  leaveMode() {
    const { not = "", off = [], only = "", chat = "", picture = null } = this.beforeMode ?? {};
    this.picture = picture;
    this.ask({ q: this.messageBefore(), like: "", browse: "", surprise: "" });
    this.question = { ...this.question, not, off, only, chat };
    this.askNow();
  }

  isMessage() {
    return Boolean(this.question.q.trim() || this.question.chat || this.picture);
  }

  restore(question, { reactionView: view, reactionPicture: number = 0 }) {
    const picture = this.uploads.pictures[number - 1] ?? null;
    clearTimeout(this.pause);
    this.isPaused = false;
    const isSame = toSearch(question) === toSearch(this.question) && picture === (this.picture ?? null);
    if (isSame) return this.scrollTo(view?.scroll ?? 0);
    this.controller?.abort();
    this.question = question;
    this.picture = picture;
    this.like = null;
    this.trouble = [];
    this.showQuestion();
    this.search({ view: view ?? { scroll: 0 } });
  }

  showDialog(id) {
    const gif = id && this.grid.gifs.find((other) => other.id === id);
    if (gif) this.dialog.show(gif);
    else if (this.dialog.isOpen) this.dialog.close();
  }

  showQuestion() {
    this.box.show(this.question);
    this.browse.mark(this.question);
    this.play.checked = this.isMoving();
    this.drawChips();
    this.showKept();
  }

  /** The row is there at the start; a GIF that is taken does not move the others by adding it. */
  showKept() {
    this.keptRow.element.hidden = this.keptRow.isEmpty || !isOpening(this.question) || Boolean(this.picture);
  }

  /** Draw the chips anew; the focus stays on the chip, or goes to its neighbour or the box. */
  drawChips() {
    redraw(this.chips, renderChips(this.question, this), () => this.box.focus());
  }

  keepView() {
    clearTimeout(this.scrolling);
    if (this.isAttached && this.answer && this.history.isHere) this.history.keep({ scroll: this.grid.scroller.scrollTop, shown: this.grid.gifs.length });
  }

  onScrolled() {
    if (!this.isAttached || !this.history.isHere) return; // Streamlit is about to show another page
    this.view = { scroll: this.grid.scroller.scrollTop };
    clearTimeout(this.scrolling);
    this.scrolling = setTimeout(() => this.keepView(), SCROLLED_AFTER_MS);
  }

  scrollTo(top) {
    this.grid.scroller.scrollTop = top;
    this.grid.draw();
  }

  more(gif) {
    this.ask({ like: gif.id.slice(0, 16) }, { settled: true, like: gif });
    if (!matchMedia("(pointer: coarse)").matches) this.box.focus(); // there a keyboard would open
  }

  // Motion and keys ---------------------------------------------------------------------------

  scoreKind() {
    return this.answer?.score;
  }

  isMoving() {
    return this.question?.play ?? !reducedMotion.matches;
  }

  setMoving(play) {
    this.question = { ...this.question, play: play === !reducedMotion.matches ? null : play };
    this.history.replace(this.question);
    this.refreshMotion();
  }

  refreshMotion() {
    this.play.checked = this.isMoving();
    this.grid.refreshMotion();
    this.browse.refreshMotion();
    this.keptRow.draw();
    this.drawChips();
  }

  onKey(event) {
    const { input } = this.box;
    const active = this.host.shadowRoot.activeElement;
    if (this.dialog.isOpen || event.defaultPrevented || event.isComposing) return;
    if (event.key === "ArrowDown" && active === input) {
      event.preventDefault();
      this.enterGrid();
    } else if (event.key === "Escape" && active && active !== input && !this.filters.element.matches(":popover-open")) {
      this.box.focus();
    } else if (event.key === "/" && (document.activeElement === document.body || (active && active.localName === "button"))) {
      event.preventDefault();
      this.box.focus({ select: true });
    }
  }

  /** Move from the box to the first GIF: of the answer to what is typed, not of the one before. */
  enterGrid() {
    if (this.isPaused) this.askNow(false);
    if (this.isAsking) this.isLeaving = true;
    else this.grid.focus(0);
  }
}
