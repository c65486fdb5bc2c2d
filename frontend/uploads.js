// The visitor's files: pasted, dropped or chosen; one is asked with, several are ranked.

import { clip, el } from "./dom.js";
import { mediaFiles, OwnPictures, ownGif } from "./own.js";
import { changed, isMode, isOpening, OPENING } from "./question.js";

export class Uploads {
  /** `page` is the picker. */
  constructor(page) {
    this.page = page;
    this.own = new OwnPictures(page.source);
    this.pictures = []; // that were asked with, for Back: number n is at n - 1
    this.drop = el("div", { className: "drop", hidden: true }, el("p", {}, page.t("drop_here")));
    this.listeners = [
      ["paste", (event) => this.onPaste(event)],
      ["dragstart", () => (this.isOwnDrag = true)], // a GIF that is dragged out of the page
      ["dragend", () => (this.isOwnDrag = false)],
      ["dragover", (event) => this.onDrag(event)],
      ["dragleave", (event) => event.relatedTarget === null && (this.drop.hidden = true)],
      ["drop", (event) => this.onDrop(event)],
    ];
  }

  /** Go on with the files of a page in another language. */
  takeOver(other) {
    this.pictures = other.pictures;
    this.own = other.own;
    this.own.progress = () => this.onProgress();
  }

  // A picture to ask with ---------------------------------------------------------------------

  ask(file) {
    const { page } = this;
    page.keepView();
    const picture = { file, gif: ownGif(file), number: this.pictures.length + 1 };
    this.pictures.push(picture);
    const isUntouched = isOpening(page.question) || isMode(page.question);
    if (isUntouched) page.question = changed(page.question, { q: "" });
    page.picture = picture;
    page.like = null;
    page.history.show(page.question, true, picture.number);
    page.showQuestion();
    return this.send(picture);
  }

  /** Send it, and ask as soon as the server knows it; one that cannot be read is named. */
  async send(picture) {
    const { page } = this;
    page.beginAnswer();
    page.showEmpty(page.t("reading_pictures"));
    try {
      picture.token = await page.source.sendPicture(picture.file);
      if (page.picture === picture) await page.search();
    } catch (error) {
      if (page.picture !== picture) return;
      page.trouble = [`${clip(picture.file.name)}: ${page.sentenceOf(error)}`];
      this.remove({ settled: false });
    }
  }

  remove({ settled = true } = {}) {
    const { page } = this;
    page.keepView();
    page.picture = null;
    if (!page.question.q && !page.question.chat && !isMode(page.question)) page.question = changed(page.question, { q: OPENING });
    if (settled) page.history.show(page.question, true);
    else page.history.replace(page.question, 0); // it never was asked with
    page.showQuestion();
    return page.search();
  }

  // Pictures to rank --------------------------------------------------------------------------

  add(files) {
    const { page, own } = this;
    const max = page.config.max_files;
    if (own.files.length + files.length > max) {
      page.drawNotes([page.t("too_many_files", { n: max })]);
      return undefined;
    }
    if (isMode(page.question)) page.ask({ q: page.messageBefore() }, { settled: true });
    own.progress = () => this.onProgress();
    return own.add(files);
  }

  /** The server has forgotten them: they are read again. */
  addAgain() {
    const { files } = this.own;
    this.own.token = "";
    this.own.reset();
    return this.add(files);
  }

  onProgress() {
    const { own, page } = this;
    if (own.isReading) {
      page.drawChips();
      this.show();
      page.showEmpty(page.t("reading_mine", { done: own.done, n: own.files.length }), own.done / own.files.length);
      return;
    }
    page.showEmpty("");
    if (!own.token) {
      page.trouble = this.unread();
      own.reset(); // none of them can be ranked
    }
    page.drawChips();
    page.search();
  }

  /** The visitor's pictures as they are, before anything ranks them. */
  show() {
    const { own, page } = this;
    if (own.shown && this.shown !== own.shown) {
      this.shown = own.shown;
      page.beginAnswer();
      page.grid.set(own.shown);
    }
    page.facts.textContent = page.t("total_mine", { n: own.files.length });
    page.drawNotes();
  }

  unread() {
    return this.own.unread.map(({ name, error }) => {
      const sentence = this.page.sentenceOf(error);
      return sentence.startsWith(name) ? sentence : `${clip(name)}: ${sentence}`;
    });
  }

  leave() {
    this.own.reset();
    this.page.drawChips();
    this.page.search();
  }

  // Pasted and dropped ------------------------------------------------------------------------

  onPaste(event) {
    const files = mediaFiles(event.clipboardData);
    if (!files.length || this.page.dialog.isOpen) return;
    event.preventDefault();
    this.take(files);
  }

  onDrag(event) {
    if (!this.isWanted(event)) return;
    event.preventDefault();
    this.drop.hidden = false;
  }

  onDrop(event) {
    this.drop.hidden = true;
    if (!this.isWanted(event)) return;
    event.preventDefault();
    const files = [...event.dataTransfer.files]; // also no pictures: the server says what they are
    if (files.length) this.take(files);
  }

  isWanted(event) {
    return !this.isOwnDrag && !this.page.dialog.isOpen && [...(event.dataTransfer?.types ?? [])].includes("Files");
  }

  /** One picture is asked with; several are ranked instead of the library. */
  take(files) {
    return files.length === 1 ? this.ask(files[0]) : this.add(files);
  }
}
