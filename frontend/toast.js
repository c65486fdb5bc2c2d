// One line at the foot of the page that says what was done, and goes by itself.

import { el } from "./dom.js";

const SHOWN_MS = 4_000;

export class Toast {
  constructor() {
    // Never hidden, only empty: screen readers do not announce what becomes visible with its text.
    this.element = el("div", { className: "toast", role: "status" });
    for (const event of ["pointerenter", "focusin"]) this.element.addEventListener(event, () => clearTimeout(this.timer));
    for (const event of ["pointerleave", "focusout"]) this.element.addEventListener(event, () => this.hideSoon());
  }

  /** Show a sentence, with an action if there is one: {label, act}. */
  show(text, action = null) {
    const button = action && el("button", { type: "button", on: { click: action.act } }, action.label);
    this.element.replaceChildren(...[el("span", {}, text), button].filter(Boolean));
    this.element.classList.add("shown");
    this.hideSoon();
  }

  hideSoon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.element.classList.remove("shown");
      this.element.replaceChildren();
    }, SHOWN_MS);
  }
}
