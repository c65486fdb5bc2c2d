// What happens when a GIF is taken: copied, shared, downloaded, or marked as a favourite.

import { clip, el } from "./dom.js";
import { copyText, download, isLocal, linkOf, markdownOf, share, sharesFiles } from "./take.js";

const MARKED_MS = 1_500; // that a taken card says so

export class Taking {
  /** `page` has t, source, kept, keptRow, toast. */
  constructor(page) {
    this.page = page;
  }

  /** One click: the link is copied; on a phone the share sheet opens with the file. */
  async take(gif, card, { alwaysCopies = false } = {}) {
    if (gif.blob) return this.download(gif, card);
    if (!alwaysCopies && sharesFiles() && (await this.share(gif, card))) return;
    const { t } = this.page;
    const link = linkOf(gif, this.page.source);
    const isOnlyHere = isLocal && !gif.is_web;
    if (await copyText(link)) this.took(gif, card, t(isOnlyHere ? "copied_local" : "copied"), t("copied_short"), isOnlyHere);
    else this.page.toast.show(t("not_copied", { link }));
  }

  async markdown(gif, card) {
    const { t } = this.page;
    const text = markdownOf(gif, this.page.source);
    if (await copyText(text)) this.took(gif, card, t("copied_markdown"), t("copied_short"));
    else this.page.toast.show(t("not_copied", { link: text }));
  }

  /** Open the share sheet; false if this browser shares no files, or not this one. */
  async share(gif, card) {
    const outcome = await share(gif, this.page.source);
    if (outcome === "shared") this.page.kept.took(gif);
    else if (outcome === "impossible" && card?.isConnected && !sharesFiles()) this.page.toast.show(this.page.t("not_shared"));
    return outcome !== "impossible";
  }

  download(gif, card) {
    download(gif, this.page.source);
    this.took(gif, card, this.page.t("downloaded", { name: clip(gif.file_name) }));
  }

  /** Say what was done at the foot of the page and on the card itself. */
  took(gif, card, text, mark = "", offersFile = false) {
    const { t, kept, keptRow, toast } = this.page;
    kept.took(gif);
    const place = card?.isConnected ? card : keptRow.thumbOf(gif); // the row was drawn anew
    if (place && mark) markAs(place, mark);
    toast.show(text, offersFile ? { label: t("download_file"), act: () => this.download(gif) } : null);
  }

  favourite(gif, button) {
    const isOn = this.page.kept.toggleFavourite(gif);
    button.setAttribute("aria-pressed", isOn);
    this.page.toast.show(this.page.t(isOn ? "favourite_added" : "favourite_removed"));
  }
}

function markAs(place, text) {
  place.querySelector(".done")?.remove();
  const mark = el("span", { className: "done", "aria-hidden": "true" }, text); // the toast is announced
  place.append(mark);
  place.classList.add("copied");
  clearTimeout(place.marked);
  place.marked = setTimeout(() => {
    mark.remove();
    place.classList.remove("copied");
  }, MARKED_MS);
}
