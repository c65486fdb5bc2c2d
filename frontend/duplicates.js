// Look-alikes with what tells them apart: choose which one of a group stays, and take away the
// list of the others for `reaction-search build --leave-out`.

import { Choices } from "./choices.js";
import { element, fetchJson, picture, stillsOnly } from "./elements.js";

const AT_ONCE = 20; // groups a page
const ALL_AT_ONCE = 200;
const LIST = "leave-out.txt";

export class Duplicates {
  constructor(section, words, library) {
    Object.assign(this, { words, next: 0, command: "" });
    this.choices = new Choices(library);
    this._section = section;
    this._stop = new AbortController();
    const button = (key, action) => element("button", { type: "button", onclick: action }, words.text(key));
    this._help = element("p");
    this._groups = element("div", { class: "groups" });
    this._more = button("lib_more_groups", () => this.loadMore());
    this._largest = button("lib_keep_largest", () => this.keepLargest());
    this._forget = button("lib_forget", () => this.forget());
    this._count = element("strong", { role: "status" });
    this._list = button("lib_list", () => this.download());
    this._code = element("code", { tabindex: "0" });
    this._copy = button("lib_copy", () => this.copy());
    const result = element("div", { class: "result" },
      element("div", { class: "row" }, this._count, this._list, this._forget),
      element("p", {}, words.text("lib_command")),
      element("div", { class: "row" }, this._code, this._copy));
    section.append(this._help, element("div", { class: "row" }, this._largest), this._groups,
      element("div", { class: "row" }, this._more), result);
    section.hidden = true;
    this.loadMore();
  }

  destroy() {
    this._stop.abort();
  }

  async _page(offset, limit) {
    const path = `api/v1/duplicates?offset=${offset}&limit=${limit}`;
    return (await fetchJson(this.words, path, this._stop.signal)).answer;
  }

  async loadMore() {
    this._more.disabled = true;
    try {
      const page = await this._page(this.next, AT_ONCE);
      this.next = page.next_offset;
      this.command = page.command;
      this._section.hidden = page.total === 0;
      this._help.textContent = this.words.text("lib_duplicates_help", { n: page.total });
      this._more.textContent = this.words.text("lib_more_groups");
      page.groups.forEach((group, i) => this._groups.append(this._group(group, page.offset + i + 1)));
      this._code.textContent = this.command;
      this._tell();
    } catch {
      if (this._stop.signal.aborted) return;
      this._section.hidden = false;
      this._help.textContent = this.words.text("lib_failed");
      this._more.textContent = this.words.text("lib_retry");
    } finally {
      this._more.disabled = false;
      this._more.hidden = this.next === null;
    }
  }

  _group(group, number) {
    const { words } = this;
    const kept = this.choices.kept(group.id);
    const choose = (id) => { this.choices.keep(group, id); this._tell(); };
    const radio = (id, label) => element("label", { class: "choice" },
      element("input", {
        type: "radio", name: `keep-${group.id}`, value: id ?? "", checked: kept === id, onchange: () => choose(id),
      }),
      element("span", {}, label));
    const members = group.gifs.map((gif) => element("div", { class: "member" },
      this._picture(gif),
      element("p", { class: "title" }, gif.title || words.text("lib_untitled")),
      element("p", {}, this._facts(gif)),
      element("p", {}, gif.license || words.text("lib_none")),
      gif.id === group.keep ? element("p", { class: "badge" }, words.text("lib_largest")) : null,
      radio(gif.id, words.text("lib_keep"))));
    const title = words.text("lib_group", { n: number, members: group.gifs.length });
    const box = element("fieldset", { class: "group" }, element("legend", {}, title),
      element("div", { class: "members" }, ...members), radio(null, words.text("lib_keep_all")));
    box.groupId = group.id;
    return box;
  }

  _facts(gif) {
    const { words } = this;
    const facts = [gif.width ? `${gif.width} × ${gif.height}` : null, gif.bytes === null ? null : words.bytes(gif.bytes)];
    if (gif.duration_ms) facts.push(words.text("lib_seconds", { s: words.short(gif.duration_ms / 1000) }));
    if (gif.film) facts.push(words.text("lib_film"));
    return facts.filter(Boolean).join(" · ");
  }

  /** A still, which plays while one points at it. */
  _picture(gif) {
    const first = gif.still ?? gif.preview;
    if (!first) return element("div", { class: "nothing", "aria-hidden": "true" });
    const image = picture(this.words, first);
    if (gif.animated && gif.still && gif.preview && !stillsOnly()) {
      image.addEventListener("pointerenter", () => { image.src = this.words.address(gif.preview); });
      image.addEventListener("pointerleave", () => { image.src = this.words.address(gif.still); });
    }
    return image;
  }

  _tell() {
    const n = this.choices.left.length;
    this._count.textContent = this.words.text("lib_to_leave", { n });
    this._list.disabled = this._forget.disabled = n === 0;
  }

  /** Keep the largest of each group in which nothing was chosen, also of those not shown yet. */
  async keepLargest() {
    this._largest.disabled = true;
    try {
      for (let offset = 0; offset !== null;) {
        const page = await this._page(offset, ALL_AT_ONCE);
        for (const group of page.groups) {
          if (this.choices.kept(group.id) === null) this.choices.keep(group, group.keep);
        }
        offset = page.next_offset;
      }
      this._showChoices();
    } catch {
      if (!this._stop.signal.aborted) this._count.textContent = this.words.text("lib_failed");
    } finally {
      this._largest.disabled = false;
    }
  }

  forget() {
    this.choices.forget();
    this._showChoices();
  }

  _showChoices() {
    for (const box of this._groups.children) {
      const kept = this.choices.kept(box.groupId) ?? "";
      for (const input of box.querySelectorAll("input")) input.checked = input.value === kept;
    }
    this._tell();
  }

  download() {
    const text = this.choices.list(this.words.text("lib_list_header"));
    const address = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
    element("a", { href: address, download: LIST }).click();
    setTimeout(() => URL.revokeObjectURL(address), 10_000);
  }

  async copy() {
    try {
      await navigator.clipboard.writeText(this.command);
      this._copy.textContent = this.words.text("lib_copied");
      setTimeout(() => { this._copy.textContent = this.words.text("lib_copy"); }, 2000);
    } catch { // no clipboard without https: select the command instead
      getSelection().selectAllChildren(this._code);
    }
  }
}
