// The panel with everything else that shapes an answer: filters, weights, a pasted chat, motion.

import { el, iconButton, redraw } from "./dom.js";

/** A panel beside the box; `page` has t, question, ask(change), source, isMoving(), setMoving(). */
export class Filters {
  constructor(page) {
    this.page = page;
    this.element = el("div", { className: "panel", popover: "auto", id: "filters", role: "dialog", "aria-label": page.t("narrow") });
    this.element.setAttribute("popover", "auto");
    this.element.addEventListener("beforetoggle", () => (this.hadFocus = this.element.matches(":focus-within")));
    this.element.addEventListener("toggle", (event) => {
      this.anchor.setAttribute("aria-expanded", event.newState === "open");
      const { activeElement } = this.element.getRootNode();
      // Browsers give the focus back by themselves, but not all within a shadow root.
      const isLost = !activeElement || this.element.contains(activeElement);
      if (event.newState === "closed" && this.hadFocus && isLost) this.anchor.focus();
    });
    this.element.addEventListener("focusout", (event) => {
      if (event.relatedTarget && !this.element.contains(event.relatedTarget)) this.element.hidePopover();
    });
  }

  open(anchor) {
    this.anchor = anchor;
    this.draw();
    this.element.showPopover();
    this.element.querySelector("button").focus(); // keys go on from here; closing takes them back
    const box = anchor.getBoundingClientRect();
    const width = this.element.offsetWidth;
    this.element.style.left = `${Math.max(8, Math.min(box.right - width, innerWidth - width - 8))}px`;
    this.element.style.top = `${box.bottom + 6}px`;
    this.element.style.maxHeight = `${innerHeight - box.bottom - 14}px`;
    if (!this.choices) this.loadChoices();
  }

  async loadChoices() {
    this.choices = await this.page.source.filters().catch(() => null);
    if (this.choices && this.element.matches(":popover-open")) this.draw();
  }

  draw() {
    const { t, question } = this.page;
    const set = (change) => this.page.ask(change, { settled: true });
    redraw(this.element, [
      el("div", { className: "head" }, el("h2", {}, t("narrow")), iconButton("close", t("close"), () => this.element.hidePopover())),
      this.toggle("animated_only", question.animated, (animated) => set({ animated })),
      this.toggle("fold", question.fold, (fold) => set({ fold })),
      this.range("min_score", question.min, 0, 1, 0.05, (min) => set({ min })),
      ...[["tags", "tag"], ["licenses", "license"], ["sources", "source"]].map(([key, name]) => this.choice(key, name)),
      this.reactions(),
      el("h3", {}, t("other_ways")),
      this.chat(),
      question.not ? this.range("not_weight", question.not_weight, 0, 1, 0.1, (not_weight) => set({ not_weight })) : null,
      this.page.picture ? this.range("picture_weight", question.picture_weight, 0.1, 3, 0.1, (picture_weight) => set({ picture_weight })) : null,
    ].filter(Boolean));
  }

  labelled(key, control, id = `filter-${key}`) {
    control.id = id;
    return el(
      "div",
      { className: "control" },
      el("label", { htmlFor: id }, this.page.t(key)),
      control,
      this.page.texts[`${key}_help`] ? el("p", { className: "small" }, this.page.t(`${key}_help`)) : null,
    );
  }

  toggle(key, value, set) {
    const input = el("input", { type: "checkbox", checked: value, on: { change: () => set(input.checked) } });
    return this.labelled(key, input);
  }

  range(key, value, min, max, step, set) {
    const shown = el("output", {}, String(value));
    const input = el("input", {
      type: "range", min, max, step, value: String(value),
      on: { input: () => (shown.textContent = input.value), change: () => set(Number(input.value)) },
    });
    input.value = String(value);
    const control = this.labelled(key, input);
    control.querySelector("label").append(" ", shown);
    return control;
  }

  /** Choose a value to add; the chosen ones are chips above the grid. */
  choice(key, name) {
    const { t, question } = this.page;
    const values = (this.choices?.[key] ?? []).filter((value) => !question[name].includes(value));
    if (this.choices && !values.length) return null;
    const input = el("select", { on: { change: () => { this.page.ask({ [name]: [...question[name], input.value] }, { settled: true }); this.draw(); } } },
      el("option", { value: "" }, t("only_reaction_any")),
      values.map((value) => el("option", { value }, value)),
    );
    return this.labelled(key, input);
  }

  reactions() {
    const { t, question, texts } = this.page;
    const names = Object.keys(texts).filter((key) => key.startsWith("reaction_")).map((key) => key.slice(9));
    names.sort((a, b) => t(`reaction_${a}`).localeCompare(t(`reaction_${b}`)));
    const set = (name) => this.page.ask(this.page.isMessage() ? { only: name } : { browse: name }, { settled: true });
    const input = el("select", { on: { change: () => set(input.value) } },
      el("option", { value: "" }, t("only_reaction_any")),
      names.map((name) => el("option", { value: name, selected: question.only === name }, t(`reaction_${name}`))),
    );
    return this.labelled("only_reaction", input);
  }

  chat() {
    const input = el("textarea", { rows: 3, value: this.page.question.chat, on: { change: () => this.page.askChat(input.value) } });
    input.value = this.page.question.chat;
    return this.labelled("chat", input);
  }
}
