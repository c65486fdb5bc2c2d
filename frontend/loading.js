// The line at the foot of a page without a server: how much of the model has loaded, and what failed.

import { el } from "./dom.js";

/** `engine` is the worker; `act` has retry(), show() the waiting results, reload() the page. */
export class LoadingLine {
  constructor(engine, act) {
    Object.assign(this, { engine, act, offers: false, isOutdated: false });
    this.text = el("span", { role: "status" });
    this.bytes = el("span", { className: "bytes" }); // not announced: it changes all the time
    this.bar = el("progress", { max: 1 });
    this.button = el("button", { type: "button", hidden: true });
    this.element = el("section", { className: "loading", hidden: true }, this.text, this.bar, this.bytes, this.button);
    engine.addEventListener("change", () => this.draw());
  }

  /** Speak this language: `t` as `translator` returns it. */
  speak(t) {
    this.t = t;
    this.element.setAttribute("aria-label", t("site_loading"));
    this.bar.setAttribute("aria-label", t("site_loading"));
    this.draw();
  }

  /** Say that results by meaning are there, but not shown yet: the visitor uses those that are. */
  offer(offers) {
    this.offers = offers;
    this.draw();
  }

  /** Say that there is a newer version of the page. */
  outdated() {
    this.isOutdated = true;
    this.draw();
  }

  draw() {
    const { t, engine } = this;
    if (!t) return;
    if (this.isOutdated) this.say(t("site_outdated"), "site_reload", this.act.reload);
    else if (engine.failure) this.say(engine.sentence(engine.failure), "site_retry", this.act.retry);
    else if (!engine.names) this.say(t("loading_index"));
    else if (!engine.meaning) this.say(t("site_loading_model"));
    else if (this.offers) this.say(t("site_by_meaning"), "site_show", this.act.show);
    else this.say("");
    const isLoading = engine.total > 0 && !engine.meaning && !engine.failure;
    this.bar.hidden = this.bytes.hidden = !isLoading;
    if (!isLoading) return;
    this.bar.value = Math.min(1, engine.loaded / engine.total);
    this.bytes.textContent = t("site_bytes", { done: engine.loaded / 1e6, total: engine.total / 1e6 });
  }

  say(text, label = "", action = null) {
    this.element.hidden = !text;
    if (this.text.textContent !== text) this.text.textContent = text;
    this.button.hidden = !action;
    this.button.textContent = label && this.t(label);
    this.button.onclick = action;
  }
}
