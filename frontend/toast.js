// One line at the foot of the page that says what was done, and goes by itself.

import { el } from "./dom.js";

const SHOWN_MS = 4_000;

export class Toast {
  constructor() {
    this.element = el("div", { className: "toast", role: "status" });
  }

  /** Show a sentence, with an action if there is one: {label, act}. */
  show(text, action = null) {
    clearTimeout(this.timer);
    const button = action && el("button", { type: "button", on: { click: action.act } }, action.label);
    this.element.replaceChildren(...[el("span", {}, text), button].filter(Boolean));
    this.element.classList.add("shown");
    this.timer = setTimeout(() => this.element.classList.remove("shown"), SHOWN_MS);
  }
}
