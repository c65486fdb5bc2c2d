// Asking the server and showing what it answers: pages, progress, refusals, notes.

import { el } from "./dom.js";
import { toParameters } from "./question.js";
import { Refusal } from "./source.js";

const LOADING_RETRY_MS = 500; // while the checkpoint loads
const RETRY_MS = 3_000; // while the server cannot be reached, or is busy
const PAGE = 30; // GIFs of one answer
const LARGEST_PAGE = 120; // that the API gives, for those who scroll far
const ANNOUNCE_AFTER_MS = 600; // so that a screen reader hears the answer, not each letter's

/** What the picker is besides its question: it has question, source, own, uploads, grid, … */
export class Answering {
  parameters() {
    const parameters = toParameters(this.question);
    parameters.delete("play");
    if (this.picture?.token) parameters.set("picture", this.picture.token);
    if (this.own.token) parameters.set("mine", this.own.token);
    return parameters;
  }

  /** Whatever is under way is no longer wanted. */
  beginAnswer() {
    this.controller?.abort();
    this.controller = new AbortController();
    this.next = null;
    return this.controller.signal;
  }

  /** Ask, and show the answer; `view` says how much had been shown, and where. */
  async search({ view } = {}) {
    if (this.own.files.length && !this.own.token) return this.uploads.show();
    const signal = this.beginAnswer();
    this.isAsking = true;
    try {
      const parameters = this.parameters();
      const answer = await this.source.search(parameters, { limit: PAGE, signal });
      while (answer.next_offset && answer.gifs.length < (view?.shown ?? 0)) {
        const page = await this.source.search(parameters, { offset: answer.next_offset, limit: limitAt(answer.next_offset), signal });
        answer.gifs.push(...page.gifs);
        answer.next_offset = page.next_offset;
      }
      if (signal.aborted) return;
      this.isAsking = false;
      this.asked = parameters;
      this.show(answer, view);
    } catch (error) {
      if (signal.aborted || error.name === "AbortError") return;
      this.isAsking = false;
      await this.onRefusal(error, signal, view);
    }
  }

  show(answer, view) {
    this.answer = answer;
    this.next = answer.next_offset;
    this.like = answer.like;
    const gifs = answer.gifs.map((gif) => this.own.withFile(gif));
    this.drawChips();
    this.box.mark(this.question);
    this.browse.mark(this.question);
    this.drawNotes(answer.notes);
    this.showEmpty(answer.empty);
    this.facts.textContent = this.describe(answer);
    this.grid.set(gifs);
    this.scrollTo(view?.scroll ?? 0);
    if (this.isLeaving) this.grid.focus(0); // ArrowDown came before the answer
    this.isLeaving = false;
    this.announce(answer.empty ?? this.t("announced", { n: gifs.length, total: answer.total, title: gifs[0]?.title ?? "" }));
    this.host.dispatchEvent(new CustomEvent("reaction-shown", { composed: true, bubbles: true }));
    setTimeout(() => this.browse.load(), 0); // after the GIFs
  }

  describe(answer) {
    const { t } = this;
    const by = answer.signals.length ? t("ranked_by", { signals: answer.signals.map((name) => t(`signal_${name}`)).join(", ") }) : "";
    const total = this.own.files.length ? t("total_mine", { n: answer.total }) : t("total", { n: answer.total });
    return [total, `${Math.max(1, Math.round(answer.took_ms))} ms`, by].filter(Boolean).join(" · ");
  }

  async fetchMore() {
    const { controller, asked, next } = this;
    if (!next || this.fetching === controller) return;
    this.fetching = controller;
    try {
      const answer = await this.source.search(asked, { offset: next, limit: limitAt(next), signal: controller.signal });
      if (controller.signal.aborted) return;
      this.next = answer.next_offset;
      this.fetching = null;
      this.grid.add(answer.gifs.map((gif) => this.own.withFile(gif)));
      this.drawNotes(this.answer.notes);
    } catch (error) {
      if (controller.signal.aborted || error.name === "AbortError") return;
      this.drawNotes([this.sentenceOf(error)]);
      setTimeout(() => {
        if (this.fetching === controller) this.fetching = null;
        this.grid.schedule();
      }, RETRY_MS);
    }
  }

  async onRefusal(error, signal, view) {
    const retry = (ms) => setTimeout(() => !signal.aborted && this.search({ view }), ms);
    if (error.code === "loading") {
      this.showEmpty(error.problem.text, error.problem.fraction);
      retry(LOADING_RETRY_MS);
      return;
    }
    if (error.code === "picture_gone" && this.picture) return this.uploads.send(this.picture);
    if (error.code === "mine_gone" && this.own.token) return this.uploads.addAgain();
    this.answer = null;
    this.isLeaving = false;
    this.grid.set([]);
    this.drawChips();
    this.facts.textContent = "";
    this.drawNotes([]);
    this.showEmpty(this.sentenceOf(error));
    this.announce(this.empty.textContent);
    if (!(error instanceof Refusal) || error.status >= 500) retry(RETRY_MS);
  }

  /** What went wrong: the server's own sentence, or that it cannot be reached. */
  sentenceOf(error) {
    return error instanceof Refusal ? error.message : this.t("unreachable");
  }

  showEmpty(text, fraction) {
    this.empty.hidden = !text;
    this.empty.replaceChildren(text ?? "");
    if (fraction !== undefined) this.empty.append(el("progress", { value: fraction, max: 1, "aria-label": text }));
  }

  drawNotes(sentences = []) {
    const all = [...sentences, ...this.trouble, ...this.uploads.unread()];
    if (all.join("\n") === this.noted) return; // a screen reader has said it
    this.noted = all.join("\n");
    this.notes.replaceChildren(...all.map((text) => el("p", {}, text)));
  }

  announce(text) {
    clearTimeout(this.announcing);
    this.announcing = setTimeout(() => (this.status.textContent = text), ANNOUNCE_AFTER_MS);
  }
}

/** How many GIFs are asked for from this offset on; the same each time, so that Back finds them kept. */
function limitAt(offset) {
  return offset > LARGEST_PAGE ? LARGEST_PAGE : PAGE;
}
