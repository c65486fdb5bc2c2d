// The browser's history: every question is an entry, a question that is being typed is one.
//
// An entry's state holds what its address cannot: `reaction` says that it is the picker's own,
// `reactionPicture` is the number of the picture that is asked with, `reactionView` how far the
// visitor has scrolled, `reactionDialog` the GIF whose dialog is open.

import { DEFAULTS, parseQuestion, toSearch } from "./question.js";

const SETTLED_AFTER_MS = 1_500; // without a key, a typed question becomes an entry of its own

export class History {
  /** `page` has restore(question, state), which Back and Forward call, and showDialog(id or ""). */
  constructor(page) {
    this.page = page;
    this.isDraft = false;
    this.onPop = this.onPop.bind(this);
    // For good, and as early as it can be: before Streamlit, which runs its script at each step.
    addEventListener("popstate", this.onPop, { capture: true });
  }

  /** Act while the search page is shown. */
  attach() {
    this.path = location.pathname;
    this.isAttached = true;
  }

  detach() {
    this.isAttached = false;
    clearTimeout(this.timer);
    this.isDraft = false;
  }

  destroy() {
    removeEventListener("popstate", this.onPop, { capture: true });
  }

  /** Whether the address is still the search page's. */
  get isHere() {
    return location.pathname === this.path;
  }

  get state() {
    return history.state ?? {};
  }

  /** The question of the address. */
  current() {
    return parseQuestion(location.search);
  }

  /** Whether the entry is the picker's, and not one that a link to the page has made. */
  get isOwn() {
    return Boolean(this.state.reaction);
  }

  /**
   * Make the question the address; `settled` is false while it is typed. `picture` is the number
   * of the picture that is asked with (0: none), which the address cannot hold.
   */
  show(question, settled, picture = 0) {
    clearTimeout(this.timer);
    const address = this.addressOf(question);
    const isSame = address === location.pathname + location.search + location.hash;
    if (isSame && picture === (this.state.reactionPicture ?? 0)) {
      this.isDraft &&= !settled;
      return;
    }
    write(this.isDraft && !settled ? "replaceState" : "pushState", { reaction: true, reactionPicture: picture }, address);
    this.isDraft = !settled;
    if (this.isDraft) this.timer = setTimeout(() => (this.isDraft = false), SETTLED_AFTER_MS);
  }

  /** Write the question over the entry that is there. */
  replace(question, picture = this.state.reactionPicture ?? 0) {
    write("replaceState", { ...this.state, reaction: true, reactionPicture: picture }, this.addressOf(question));
  }

  addressOf(question) {
    return location.pathname + this.withOthers(toSearch(question)) + location.hash;
  }

  /** Parameters of the page itself stay, such as its language. */
  withOthers(search) {
    const parameters = new URLSearchParams(search);
    for (const [name, value] of new URLSearchParams(location.search)) {
      if (!(name in DEFAULTS)) parameters.append(name, value);
    }
    const text = parameters.toString();
    return text ? `?${text}` : "";
  }

  /** Store how far the visitor has scrolled, in the entry that is there. */
  keep(view) {
    const { reactionView: kept } = this.state;
    if (this.isOwn && kept?.scroll === view.scroll && kept.shown === view.shown) return;
    write("replaceState", { ...this.state, reaction: true, reactionView: view });
  }

  /** An entry of its own for the dialog of a GIF, so that Back closes it. */
  openDialog(id) {
    write("pushState", { ...this.state, reactionDialog: id });
  }

  /** Leave the dialog's entry, unless Back did. */
  leaveDialog() {
    if (this.state.reactionDialog) history.back();
  }

  onPop(event) {
    if (!this.isAttached || !this.isHere) return; // to another page: Streamlit's part
    event.stopImmediatePropagation(); // Streamlit would run the page's script for nothing
    this.isDraft = false;
    clearTimeout(this.timer);
    this.page.restore(this.current(), this.state);
    this.page.showDialog(this.state.reactionDialog ?? "");
  }
}

// Browsers refuse more than some hundred changes in half a minute: the address is then older.
function write(how, state, address) {
  try {
    history[how](state, "", address);
  } catch (error) {
    if (error.name !== "SecurityError") throw error;
  }
}
