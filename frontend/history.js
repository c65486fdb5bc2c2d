// The browser's history: every question is an entry, a question that is being typed is one.

import { parseQuestion, toSearch } from "./question.js";

const SETTLED_AFTER_MS = 1_500; // without a key, a typed question becomes an entry of its own

export class History {
  /** `restore(question, state)` is called by Back and Forward with what the entry stored. */
  constructor(restore, closeDialog) {
    this.restore = restore;
    this.closeDialog = closeDialog;
    this.isDraft = false;
    this.onPop = this.onPop.bind(this);
  }

  /** Listen while the search page is shown. */
  attach() {
    addEventListener("popstate", this.onPop);
  }

  detach() {
    removeEventListener("popstate", this.onPop);
    clearTimeout(this.timer);
  }

  /** The question of the address, unless the search page was reached by a link without one. */
  current() {
    return parseQuestion(location.search);
  }

  /**
   * Make the question the address; `settled` is false while it is typed. `picture` is the number
   * of the picture that is asked with (0: none), which the address cannot hold.
   */
  show(question, settled, picture = 0) {
    clearTimeout(this.timer);
    const address = location.pathname + this.withOthers(toSearch(question)) + location.hash;
    const isSame = address === location.pathname + location.search + location.hash;
    if (isSame && picture === (history.state?.reactionPicture ?? 0)) {
      this.isDraft &&= !settled;
      return;
    }
    const state = { reactionPicture: picture };
    if (this.isDraft) history.replaceState(state, "", address);
    else history.pushState(state, "", address);
    this.isDraft = !settled;
    if (this.isDraft) this.timer = setTimeout(() => (this.isDraft = false), SETTLED_AFTER_MS);
  }

  /** Write the question over the entry that is there. */
  replace(question) {
    history.replaceState(history.state, "", location.pathname + this.withOthers(toSearch(question)) + location.hash);
  }

  /** Parameters of the page itself stay, such as its language. */
  withOthers(search) {
    const parameters = new URLSearchParams(search);
    const language = new URLSearchParams(location.search).get("lang");
    if (language) parameters.set("lang", language);
    const text = parameters.toString();
    return text ? `?${text}` : "";
  }

  /** Store how far the visitor has scrolled, in the entry that is there. */
  keep(view) {
    history.replaceState({ ...history.state, reactionView: view }, "");
  }

  /** An entry of its own for the dialog, so that Back closes it. */
  openDialog() {
    history.pushState({ ...history.state, reactionDialog: true }, "");
    this.hasDialog = true;
  }

  /** Leave the dialog's entry. */
  leaveDialog() {
    if (this.hasDialog && history.state?.reactionDialog) history.back();
    this.hasDialog = false;
  }

  onPop(event) {
    this.isDraft = false;
    if (this.hasDialog && !event.state?.reactionDialog) {
      this.hasDialog = false;
      this.closeDialog();
    }
    this.restore(this.current(), event.state ?? {});
  }
}
