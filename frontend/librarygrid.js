// All GIFs of the library as a grid without an end; a card leads to the GIFs like it.

import { clip, el, translator } from "./dom.js";
import { Grid } from "./grid.js";
import { picture, reducedMotion } from "./picture.js";
import { HttpSource } from "./source.js";

const PAGE = 60; // GIFs of one answer
const PAUSE_MS = 200; // without a key, before the filter is asked

/** Fill the section of all GIFs: `filter` is the text to look for, `cards` takes the grid. */
export function mountGrid({ filter, cards, config }) {
  const source = new HttpSource(new URL(config.base, location.origin).href, config.lang);
  const t = translator(config.texts);
  const page = { t, source, isMoving: () => !reducedMotion.matches };
  let next = 0;
  let controller = new AbortController();
  let timer = 0;
  const grid = new Grid(page, { render: renderLink, fetchMore, label: t("lib_all"), leave: () => filter.focus() });
  const status = el("p", { role: "status" });
  cards.append(grid.element, status);

  async function fetchMore() {
    if (next === null || controller.isFetching) return;
    const own = controller;
    own.isFetching = true;
    const parameters = new URLSearchParams({ fold: "0" });
    // Quoted, so that only GIFs that say it or are called so are left.
    if (filter.value.trim()) parameters.set("q", `"${filter.value.trim().replaceAll('"', "")}"`);
    try {
      const answer = await source.search(parameters, { offset: next, limit: PAGE, signal: own.signal });
      if (own.signal.aborted) return;
      next = answer.next_offset;
      if (answer.offset === 0) grid.set(answer.gifs);
      else grid.add(answer.gifs);
      status.textContent = answer.empty ?? "";
    } catch (error) {
      if (own.signal.aborted) return;
      next = null;
      status.textContent = error.message;
      if (error.code === "loading") timer = setTimeout(restart, 1000);
    } finally {
      own.isFetching = false;
    }
  }

  function restart() {
    controller.abort();
    controller = new AbortController();
    next = 0;
    fetchMore();
  }

  filter.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(restart, PAUSE_MS);
  });
  requestAnimationFrame(() => {
    grid.attach();
    fetchMore();
  });
  return {
    destroy() {
      clearTimeout(timer);
      controller.abort();
      grid.destroy();
    },
  };
}

function renderLink(gif, page) {
  const title = clip(gif.title);
  const shown = gif.preview ? picture(gif, page.source, { moving: page.isMoving(), alt: "" }) : null;
  const address = page.source.address(`./?like=${gif.id.slice(0, 16)}`);
  const link = el(
    "a",
    { className: "take", href: address, title: gif.title },
    shown,
    el("span", { className: "plate" }, el("span", { className: "title" }, title)),
  );
  const card = el("div", { className: "card", role: "listitem" }, link);
  if (shown) {
    for (const event of ["pointerenter", "focusin"]) card.addEventListener(event, () => shown.setMoving(true));
    for (const event of ["pointerleave", "focusout"]) card.addEventListener(event, () => shown.setMoving(page.isMoving()));
  }
  return Object.assign(card, { picture: shown, takeButton: link });
}
