// The picker: a box, what is asked, and the GIFs that answer. It owns the question and asks.

import { Box } from "./box.js";
import { BrowseRow, KeptRow } from "./browse.js";
import { renderChips } from "./chips.js";
import { clip, el, redraw, translator } from "./dom.js";
import { Filters } from "./filters.js";
import { Grid } from "./grid.js";
import { History } from "./history.js";
import { mediaFiles, OwnPictures, ownGif } from "./own.js";
import { reducedMotion } from "./picture.js";
import { changed, isMode, isOpening, OPENING, toParameters, toSearch } from "./question.js";
import { HttpSource, Refusal } from "./source.js";
import { Kept } from "./store.js";
import { copyText, download, isLocal, linkOf, markdownOf, share, sharesFiles } from "./take.js";
import { Toast } from "./toast.js";
import { renderWhy } from "./why.js";
import styles from "./picker.css" with { type: "css" };

const PAUSE_MS = 120; // without a key, before a question is asked
const RETRY_MS = 500; // while the checkpoint loads
const PAGE = 30; // GIFs of one answer
const LARGEST_PAGE = 120; // that the API gives
const ANNOUNCE_AFTER_MS = 600; // so that a screen reader hears the answer, not each letter's

export class Picker {
  constructor(config) {
    this.config = config;
    this.texts = config.texts;
    this.t = translator(config.texts);
    this.examples = config.examples;
    this.feedback = config.feedback;
    this.source = new HttpSource(new URL(config.base, location.origin).href, config.lang);
    this.kept = new Kept();
    this.own = new OwnPictures(this.source);
    this.votes = new Map();
    this.pictures = []; // that were asked with, for Back: number n is at n - 1
    this.history = new History((question, state) => this.restore(question, state), () => this.dialog.close());
    this.question = this.history.current();
    this.build();
  }

  build() {
    const { t } = this;
    this.host = el("div", { className: "reaction-picker" });
    const root = this.host.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [styles];
    this.box = new Box(this.boxPage());
    this.browse = new BrowseRow(this);
    this.keptRow = new KeptRow(this);
    this.filters = new Filters(this);
    this.grid = new Grid(this, { fetchMore: () => this.more_(), leave: () => this.box.focus(), label: t("results") });
    this.chips = el("div", { className: "chips" });
    this.notes = el("div", { className: "notes", role: "status" });
    this.facts = el("p", { className: "facts-line" });
    this.play = el("input", { type: "checkbox", role: "switch", id: "play", on: { change: () => this.setMoving(this.play.checked) } });
    this.status = el("div", { role: "status", className: "unseen" });
    this.empty = el("div", { className: "empty", hidden: true });
    this.dialog = el("dialog", { "aria-label": t("why_title"), on: { close: () => this.onDialogClosed(), click: (event) => event.target === this.dialog && this.dialog.close() } });
    this.toast = new Toast();
    this.drop = el("div", { className: "drop", hidden: true }, el("p", {}, t("drop_here")));
    root.append(
      el(
        "header",
        { role: "none" }, // the page's banner is Streamlit's
        el("h1", {}, t("title")),
        el("a", { href: "about" }, t("model_card")),
        el("details", {}, el("summary", {}, t("motivation_title")), el("p", {}, t("motivation"))),
      ),
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
      this.dialog,
      this.toast.element,
      this.drop,
    );
    this.listeners = [
      ["paste", (event) => this.onPaste(event)],
      ["dragover", (event) => this.onDrag(event)],
      ["dragleave", (event) => event.relatedTarget === null && (this.drop.hidden = true)],
      ["drop", (event) => this.onDrop(event)],
      ["keydown", (event) => this.onKey(event)],
    ];
    reducedMotion.addEventListener("change", () => this.refreshMotion());
    this.showQuestion();
  }

  boxPage() {
    return {
      t: this.t,
      examples: this.examples,
      ask: (change, options) => this.ask(change, options),
      picture: (file) => this.askPicture(file),
      own: (files) => this.addOwn(files),
      openFilters: (anchor) => this.filters.open(anchor),
    };
  }

  // On and off the screen ---------------------------------------------------------------------

  /** Put the picker into an element of the page; what it shows stays as it is. */
  attach(parent) {
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
    this.view = { scroll: this.grid.scroller?.scrollTop ?? 0 };
    this.isAttached = false;
    this.history.detach();
    this.dialog.close();
    for (const [event, handler] of this.listeners) document.removeEventListener(event, handler);
    this.host.remove();
  }

  destroy() {
    this.detach();
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
      this.search({ view: history.state?.reactionView });
      setTimeout(() => this.browse.load(), 0); // after the GIFs
      this.box.focus({ select: isOpening(asked) });
    } else if (isOpening(asked)) {
      this.history.replace(this.question); // reached by a link to the page: the question stays
      this.grid.scroller.scrollTop = this.view?.scroll ?? 0;
    } else this.restore(asked, history.state ?? {});
  }

  // The question ------------------------------------------------------------------------------

  /** Ask something else. `settled`: by one action, not letter by letter. */
  ask(change, { settled = false } = {}) {
    const before = this.question;
    this.keepView();
    this.question = changed(before, change);
    if (isMode(this.question) && !isMode(before)) this.beforeMode = before;
    if (isMode(this.question) || "q" in change) this.like = null;
    if (isMode(this.question)) this.picture = null;
    this.history.show(this.question, settled, this.picture?.number);
    if (settled) this.showQuestion();
    else this.box.mark(this.question);
    clearTimeout(this.pause);
    if (settled) this.search();
    else this.pause = setTimeout(() => this.search(), PAUSE_MS);
  }

  /** Leave "more like this" and its like for the message before. */
  leaveMode() {
    const before = this.beforeMode ?? { ...this.question, like: "", browse: "", surprise: "", q: OPENING };
    this.ask({ like: "", browse: "", surprise: "", q: before.q, not: before.not, off: before.off, only: before.only, chat: before.chat }, { settled: true });
  }

  restore(question, { reactionView: view, reactionPicture: number = 0 }) {
    const picture = this.pictures[number - 1] ?? null;
    if (toSearch(question) === toSearch(this.question) && picture === (this.picture ?? null)) return;
    clearTimeout(this.pause);
    this.controller?.abort();
    this.question = question;
    this.picture = picture;
    this.like = null;
    this.showQuestion();
    this.search({ view });
  }

  showQuestion() {
    this.box.show(this.question);
    this.browse.mark(this.question);
    this.play.checked = this.isMoving();
    this.drawChips();
  }

  drawChips() {
    redraw(this.chips, renderChips(this.question, this), () => this.box.focus());
    this.keptRow.element.hidden = this.keptRow.isEmpty || !isOpening(this.question);
  }

  keepView() {
    if (this.isAttached && this.answer) this.history.keep({ scroll: this.grid.scroller.scrollTop, shown: this.grid.gifs.length });
  }

  // The answer --------------------------------------------------------------------------------

  parameters() {
    const parameters = toParameters(this.question);
    parameters.delete("play");
    if (this.picture?.token) parameters.set("picture", this.picture.token);
    if (this.own.token) parameters.set("mine", this.own.token);
    return parameters;
  }

  /** Ask, and show the answer; `view` says how much had been shown, and where. */
  async search({ view } = {}) {
    clearTimeout(this.pause);
    this.controller?.abort();
    const controller = (this.controller = new AbortController());
    const { signal } = controller;
    if (this.own.files.length && !this.own.token) return this.showOwn();
    try {
      const parameters = this.parameters();
      const answer = await this.source.search(parameters, { signal });
      while (answer.next_offset && answer.gifs.length < (view?.shown ?? 0)) {
        const page = await this.source.search(parameters, { offset: answer.next_offset, limit: LARGEST_PAGE, signal });
        answer.gifs.push(...page.gifs);
        answer.next_offset = page.next_offset;
      }
      if (signal.aborted) return;
      this.asked = parameters;
      this.show(answer, view);
    } catch (error) {
      if (signal.aborted || error.name === "AbortError") return;
      await this.onRefusal(error, signal, view);
    }
  }

  show(answer, view) {
    this.answer = answer;
    this.next = answer.next_offset;
    this.like = answer.like;
    const gifs = answer.gifs.map((gif) => this.own.withFile(gif));
    this.grid.set(gifs);
    const { scroller } = this.grid;
    const top = this.host.getBoundingClientRect().top - (scroller.getBoundingClientRect?.().top ?? 0) + scroller.scrollTop;
    if (view) scroller.scrollTop = view.scroll;
    else if (scroller.scrollTop > top) scroller.scrollTop = Math.max(0, top);
    this.drawChips();
    this.box.mark(this.question);
    this.browse.mark(this.question);
    this.drawNotes(answer.notes);
    this.showEmpty(answer.empty);
    this.facts.textContent = this.describe(answer);
    this.announce(answer.empty ?? this.t("announced", { n: gifs.length, total: answer.total, title: gifs[0]?.title ?? "" }));
    this.host.dispatchEvent(new CustomEvent("reaction-shown", { composed: true, bubbles: true }));
  }

  describe(answer) {
    const { t } = this;
    const by = answer.signals.length ? t("ranked_by", { signals: answer.signals.map((name) => t(`signal_${name}`)).join(", ") }) : "";
    const total = this.own.files.length ? t("total_mine", { n: answer.total }) : t("total", { n: answer.total });
    return [total, `${Math.max(1, Math.round(answer.took_ms))} ms`, by].filter(Boolean).join(" · ");
  }

  async more_() {
    if (!this.next || this.isFetching || !this.asked) return;
    this.isFetching = true;
    const { controller, asked } = this;
    try {
      const answer = await this.source.search(asked, { offset: this.next, limit: this.grid.gifs.length > LARGEST_PAGE ? LARGEST_PAGE : PAGE, signal: controller.signal });
      if (controller.signal.aborted) return;
      this.next = answer.next_offset;
      this.grid.add(answer.gifs.map((gif) => this.own.withFile(gif)));
    } catch (error) {
      if (!controller.signal.aborted && error.name !== "AbortError") this.drawNotes([error.message]);
      this.next = null;
    } finally {
      this.isFetching = false;
    }
    if (!controller.signal.aborted) this.grid.schedule();
  }

  async onRefusal(error, signal, view) {
    if (error instanceof Refusal && error.code === "loading") {
      this.showEmpty(error.problem.text, error.problem.fraction);
      setTimeout(() => !signal.aborted && this.search({ view }), RETRY_MS);
      return;
    }
    if (error.code === "picture_gone" && this.picture) return this.sendPicture();
    if (error.code === "mine_gone" && this.own.token) {
      const { files } = this.own;
      this.own.token = "";
      this.own.reset();
      return this.addOwn(files);
    }
    this.answer = null;
    this.next = null;
    this.grid.set([]);
    this.drawChips();
    this.facts.textContent = "";
    this.drawNotes([]);
    this.showEmpty(error instanceof Refusal ? error.message : this.t("unreachable"));
    this.announce(this.empty.textContent);
  }

  showEmpty(text, fraction) {
    this.empty.hidden = !text;
    this.empty.replaceChildren(text ?? "");
    if (fraction !== undefined) this.empty.append(el("progress", { value: fraction, max: 1, "aria-label": text }));
  }

  drawNotes(sentences = []) {
    const unread = this.own.unread.map(({ name, reason }) => `${clip(name)}: ${reason}`);
    const texts = [...sentences, ...unread];
    if (texts.join("\n") === this.noted) return; // a screen reader has said it
    this.noted = texts.join("\n");
    this.notes.replaceChildren(...texts.map((text) => el("p", {}, text)));
  }

  announce(text) {
    clearTimeout(this.announcing);
    this.announcing = setTimeout(() => (this.status.textContent = text), ANNOUNCE_AFTER_MS);
  }

  // Pictures ----------------------------------------------------------------------------------

  askPicture(file) {
    this.keepView();
    this.picture = { file, gif: ownGif(file), number: this.pictures.length + 1 };
    this.pictures.push(this.picture);
    const isUntouched = isOpening(this.question) || isMode(this.question);
    if (isUntouched) this.question = changed(this.question, { q: "" });
    this.history.show(this.question, true, this.picture.number);
    this.showQuestion();
    return this.sendPicture();
  }

  async sendPicture() {
    const { picture } = this;
    this.showEmpty(this.t("reading_pictures"));
    try {
      picture.token = await this.source.sendPicture(picture.file);
      if (this.picture === picture) await this.search();
    } catch (error) {
      if (this.picture !== picture) return;
      this.picture = null;
      this.showQuestion();
      await this.search();
      this.drawNotes([`${clip(picture.file.name)}: ${error.message}`]);
    }
  }

  removePicture() {
    this.keepView();
    this.picture = null;
    if (!this.question.q && !isMode(this.question)) this.question = changed(this.question, { q: OPENING });
    this.history.show(this.question, true);
    this.showQuestion();
    this.search();
  }

  async addOwn(files) {
    const max = this.config.max_files;
    if (this.own.files.length + files.length > max) {
      this.drawNotes([this.t("too_many_files", { n: max })]);
      return;
    }
    await this.own.add(files, () => this.onOwnProgress());
  }

  onOwnProgress() {
    const { own } = this;
    this.drawChips();
    if (own.isReading) {
      this.showOwn();
      this.showEmpty(this.t("reading_mine", { done: own.done, n: own.files.length }), own.done / own.files.length);
    } else {
      this.showEmpty("");
      if (own.token) this.search();
      else this.drawNotes();
    }
  }

  /** The visitor's pictures as they are, before anything ranks them. */
  showOwn() {
    if (this.grid.gifs !== this.shownOwn && this.own.shown) {
      this.grid.set(this.own.shown);
      this.shownOwn = this.grid.gifs;
    }
    this.facts.textContent = this.t("total_mine", { n: this.own.files.length });
    this.drawNotes();
  }

  leaveOwn() {
    this.own.reset();
    this.drawChips();
    this.search();
  }

  onPaste(event) {
    const files = mediaFiles(event.clipboardData);
    if (!files.length) return;
    event.preventDefault();
    this.takeFiles(files);
  }

  onDrag(event) {
    if (![...(event.dataTransfer?.types ?? [])].includes("Files")) return;
    event.preventDefault();
    this.drop.hidden = false;
  }

  onDrop(event) {
    this.drop.hidden = true;
    const files = mediaFiles(event.dataTransfer);
    if (![...(event.dataTransfer?.types ?? [])].includes("Files")) return;
    event.preventDefault();
    if (files.length) this.takeFiles(files);
  }

  /** One picture is asked with; several are ranked instead of the library. */
  takeFiles(files) {
    if (files.length === 1) this.askPicture(files[0]);
    else this.addOwn(files);
  }

  // Taking ------------------------------------------------------------------------------------

  scoreKind() {
    return this.answer?.score;
  }

  /** One click: the link is copied; on a phone the share sheet opens with the file. */
  async take(gif, card, { alwaysCopies = false } = {}) {
    if (gif.blob) return this.download(gif);
    if (!alwaysCopies && sharesFiles() && (await this.share(gif, card))) return;
    const done = await copyText(linkOf(gif, this.source));
    this.took(gif, card, done ? this.t(isLocal && !gif.is_web ? "copied_local" : "copied") : this.t("not_copied", { link: linkOf(gif, this.source) }), isLocal);
  }

  async markdown(gif, card) {
    const text = markdownOf(gif, this.source);
    const done = await copyText(text);
    this.took(gif, card, this.t(done ? "copied_markdown" : "not_copied", { link: text }));
  }

  async share(gif, card) {
    const done = await share(gif, this.source);
    if (done) this.kept.took(gif);
    else if (card?.isConnected && !sharesFiles()) this.toast.show(this.t("not_shared"));
    return done;
  }

  download(gif) {
    download(gif, this.source);
    this.took(gif, null, this.t("downloaded", { name: clip(gif.file_name) }));
  }

  took(gif, card, text, offersFile = false) {
    this.kept.took(gif);
    card?.classList.add("copied");
    setTimeout(() => card?.classList.remove("copied"), 1_500);
    this.toast.show(text, offersFile ? { label: this.t("download_file"), act: () => this.download(gif) } : null);
  }

  favourite(gif, button) {
    const isOn = this.kept.toggleFavourite(gif);
    button.setAttribute("aria-pressed", isOn);
    this.toast.show(this.t(isOn ? "favourite_added" : "favourite_removed"));
    this.drawChips();
  }

  more(gif) {
    this.ask({ like: gif.id.slice(0, 16) }, { settled: true });
    this.box.focus();
  }

  // The dialog --------------------------------------------------------------------------------

  why(gif) {
    this.opener = this.host.shadowRoot.activeElement;
    this.dialog.replaceChildren(renderWhy(gif, this));
    this.dialog.showModal();
    this.history.openDialog();
  }

  closeDialog() {
    this.dialog.close();
  }

  onDialogClosed() {
    this.history.leaveDialog();
    const card = this.opener?.closest?.(".card");
    const isOpen = card?.classList.contains("open");
    card?.classList.add("open"); // its actions are hidden, and what is hidden takes no focus
    this.opener?.focus?.();
    if (!isOpen) card?.classList.remove("open");
  }

  async vote(key, gif, fits) {
    const { question } = this.answer;
    const { when } = this.votes.get(key) ?? {};
    const kept = await this.source.vote({ question, gif_id: gif.id, rank: gif.rank, score: gif.score, fits, when });
    this.votes.set(key, { fits, when: kept.when });
  }

  // Motion and keys ---------------------------------------------------------------------------

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
    if (this.dialog.open || event.defaultPrevented) return;
    if (event.key === "ArrowDown" && active === input) {
      event.preventDefault();
      this.grid.focus(0);
    } else if (event.key === "Escape" && active && active !== input && !this.filters.element.matches(":popover-open")) {
      this.box.focus();
    } else if (event.key === "/" && (document.activeElement === document.body || (active && active.localName === "button"))) {
      event.preventDefault();
      this.box.focus({ select: true });
    }
  }
}
