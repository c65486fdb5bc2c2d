// One GIF of the grid: its picture, score and title over it, and what can be done with it.

import { clip, el, iconButton } from "./dom.js";
import { isLocal, fillDrag } from "./take.js";
import { movesWhenPointed, picture } from "./picture.js";

/**
 * A card. `page` has t, source, kept, isMoving(), scoreKind(), and what acts: taking, dialog,
 * more().
 */
export function renderCard(gif, page) {
  const { t } = page;
  const title = clip(gif.title);
  const card = el("div", { className: "card", role: "listitem" });
  const score = gif.score === null || gif.score === undefined ? "" : formatScore(gif, page);
  const shown = gif.preview || gif.blob ? picture(gif, page.source, { moving: page.isMoving(), alt: title }) : null;
  const take = el(
    "button",
    {
      type: "button",
      className: "take",
      title: gif.title,
      "aria-label": [title, score].filter(Boolean).join(", "),
      on: { click: () => page.taking.take(gif, card) },
    },
    shown ?? el("span", { className: "missing" }, t("not_shown_one")),
    el(
      "span",
      { className: "plate", "aria-hidden": "true" }, // the button's name says the same
      score && el("b", {}, score),
      el("span", { className: "title" }, title),
      gif.alike?.length ? el("span", { className: "alike" }, t("stands_for", { n: gif.alike.length })) : null,
    ),
  );
  if (!gif.preview && !gif.blob) take.disabled = true;
  card.append(take, renderActions(gif, page, card));
  if (shown) {
    shown.addEventListener("error", () => card.classList.add("broken"));
    shown.addEventListener("dragstart", (event) => fillDrag(event, gif, page.source));
    movesWhenPointed(card, shown, page);
  }
  card.picture = shown;
  card.takeButton = take;
  return card;
}

function formatScore(gif, page) {
  return page.scoreKind() === "probability" ? `${Math.round(100 * gif.score)} %` : gif.score.toFixed(2);
}

function renderActions(gif, page, card) {
  const { t } = page;
  const title = clip(gif.title);
  const button = (name, key, act) => iconButton(name, `${t(key).replace(/\?$/, "")}: ${title}`, act);
  const favourite = button("star", "favourite", () => page.taking.favourite(gif, favourite));
  favourite.setAttribute("aria-pressed", page.kept.isFavourite(gif));
  const isTakeable = Boolean(gif.file || gif.blob);
  const save = isTakeable && button("download", "download", () => page.taking.download(gif, card));
  const actions = [
    isLocal ? save : null, // its link leads nobody else anywhere: the file comes first
    gif.file && button("markdown", "copy_markdown", () => page.taking.markdown(gif, card)),
    isTakeable && navigator.canShare && button("share", "share", () => page.taking.share(gif, card)),
    isLocal ? null : save,
    !gif.blob && button("more", "more", () => page.more(gif)),
    (gif.score ?? null) !== null && button("why", "why", () => page.dialog.open(gif)),
    !gif.blob && favourite,
  ];
  const menu = el("div", { className: "actions" }, actions);
  const open = iconButton("dots", `${t("actions")}: ${title}`, () => {
    const isOpen = card.classList.toggle("open");
    open.setAttribute("aria-expanded", isOpen);
  });
  open.setAttribute("aria-expanded", "false");
  return el("div", { className: "bar" }, menu, open);
}

/** A small picture with a button around it, as the rows above the grid show them. */
export function renderThumb(gif, page, label, onClick, properties = {}) {
  const shown = picture(gif, page.source, { size: "thumb", moving: page.isMoving(), alt: "" });
  const button = el("button", { type: "button", className: "thumb", "aria-label": label, title: label, on: { click: onClick }, ...properties }, shown);
  button.picture = shown;
  movesWhenPointed(button, shown, page);
  return button;
}
