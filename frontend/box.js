// The search box, "but not" and the picture beside it, and the examples.

import { el, iconButton } from "./dom.js";

const PICTURES = "image/gif,image/webp,image/png,image/apng,image/jpeg,video/mp4,video/webm";

export class Box {
  /** `page` has t, examples, takesPictures, ask(change, {settled}), picture(file), own(files), openFilters(). */
  constructor(page) {
    const { t } = page;
    this.page = page;
    this.input = el("input", {
      type: "search",
      id: "message",
      autocomplete: "off",
      enterKeyHint: "search",
      maxLength: 2000,
      placeholder: page.examples[2],
      title: t("message_help"),
      on: { input: () => page.ask({ q: this.input.value }) },
    });
    this.negative = el("input", {
      type: "search",
      id: "negative",
      autocomplete: "off",
      maxLength: 2000,
      title: t("not_help"),
      on: { input: () => page.ask({ not: this.negative.value }) },
    });
    this.file = el("input", { type: "file", accept: PICTURES, hidden: true, on: { change: () => this.takeFiles(this.file, (files) => page.picture(files[0])) } });
    this.files = el("input", { type: "file", accept: PICTURES, multiple: true, hidden: true, on: { change: () => this.takeFiles(this.files, page.own) } });
    this.less = iconButton("less", t("not"), () => this.showNegative(this.element.classList.toggle("negated")));
    this.less.setAttribute("aria-expanded", "false");
    this.element = el(
      "form",
      { className: "box", role: "search", on: { submit: (event) => this.submit(event) } },
      el("div", { className: "field message" }, el("label", { htmlFor: "message" }, t("message")), this.input),
      el("div", { className: "field negative" }, el("label", { htmlFor: "negative" }, t("not")), this.negative),
      el(
        "div",
        { className: "tools" },
        this.less,
        page.takesPictures ? iconButton("image", t("picture"), () => this.file.click()) : null,
        page.takesPictures ? iconButton("upload", t("rank_mine"), () => this.files.click()) : null,
        (this.filters = iconButton("filter", t("narrow"), () => page.openFilters(this.filters), { "aria-haspopup": "dialog", "aria-expanded": "false" })),
      ),
      el("button", { type: "submit", hidden: true }), // without one, Enter does nothing in a form of two fields
      this.file,
      this.files,
    );
    this.examples = el(
      "div",
      { className: "row examples", role: "group", "aria-label": t("examples") },
      page.examples.map((text) =>
        el("button", { type: "button", className: "pill", on: { click: () => page.ask({ q: text }, { settled: true }) } }, text),
      ),
    );
  }

  showNegative(isShown) {
    this.less.setAttribute("aria-expanded", isShown);
    if (isShown) this.negative.focus();
  }

  takeFiles(input, use) {
    const files = [...input.files];
    input.value = ""; // so that the same file can be chosen again
    if (files.length) use(files);
  }

  submit(event) {
    event.preventDefault();
    this.page.ask({}, { settled: true }); // what is typed is known already
  }

  /** Show a question that did not come from typing; what is being typed is never overwritten. */
  show(question) {
    if (this.input.value !== question.q) this.input.value = question.q;
    if (this.negative.value !== question.not) this.negative.value = question.not;
    if (question.not) this.element.classList.add("negated");
    this.mark(question);
  }

  /** Mark the example that is asked. */
  mark(question) {
    for (const pill of this.examples.children) pill.setAttribute("aria-pressed", pill.textContent === question.q);
  }

  focus({ select = false } = {}) {
    this.input.focus({ preventScroll: true });
    if (select) this.input.select();
  }
}

