// The dialog that says why a GIF was found: opened, closed, voted in, and left with Back.

import { el } from "./dom.js";
import { renderWhy } from "./why.js";

export class WhyDialog {
  /** `page` has t, host, history, toast, answer, grid, source. */
  constructor(page) {
    this.page = page;
    this.votes = new Map();
    this.element = el("dialog", {
      "aria-label": page.t("why_title"),
      on: { close: () => this.onClosed(), click: (event) => event.target === this.element && this.close() },
    });
  }

  get isOpen() {
    return this.element.open;
  }

  open(gif) {
    this.page.keepView();
    this.show(gif);
    this.page.history.openDialog(gif.id);
  }

  /** Show it without an entry of its own: Forward leads to the entry that it had. */
  show(gif) {
    this.opener = this.page.host.shadowRoot.activeElement;
    this.element.replaceChildren(renderWhy(gif, this.page), this.page.toast.element); // what is below is inert
    if (!this.isOpen) this.element.showModal();
    this.element.scrollTop = 0;
  }

  close() {
    this.element.close();
  }

  onClosed() {
    this.page.host.shadowRoot.append(this.page.toast.element);
    this.page.history.leaveDialog();
    if (!this.opener?.isConnected) return;
    const card = this.opener.closest(".card");
    const isOpen = card?.classList.contains("open");
    card?.classList.add("open"); // its actions are hidden, and what is hidden takes no focus
    this.opener.focus({ preventScroll: true });
    if (!isOpen) card?.classList.remove("open");
  }

  async vote(key, gif, fits) {
    const { question } = this.page.answer;
    const { when } = this.votes.get(key) ?? {};
    const kept = await this.page.source.vote({ question, gif_id: gif.id, rank: gif.rank, score: gif.score, fits, when });
    this.votes.set(key, { fits, when: kept.when });
  }
}
