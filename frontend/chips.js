// Everything that shapes the answer, as chips that can be removed; and the reactions called for.

import { clip, el, icon } from "./dom.js";
import { renderThumb } from "./card.js";
import { DEFAULTS } from "./question.js";

const REACTION = "reaction_"; // prefix of the reactions' names among the texts

/** The chips of what is asked. `page` has t, ask(change), picture, mine, like, answer, … */
export function renderChips(question, page) {
  const { t } = page;
  const list = (name) => question[name].map((value) => [value, { [name]: question[name].filter((v) => v !== value) }]);
  const chips = [
    page.own.files.length > 0 && chip(t("chip_mine", { n: page.own.files.length }), () => page.uploads.leave(), t),
    page.picture && chip(t("chip_picture"), () => page.uploads.remove(), t, page.picture.gif, page),
    question.like && chip(likeLabel(page), () => page.leaveMode(), t, page.like, page),
    question.browse && chip(t(REACTION + question.browse), () => page.leaveMode(), t),
    question.surprise && chip(t("surprise"), () => page.leaveMode(), t),
    question.chat && chip(t("chip_chat", { text: clip(question.chat.trim().split("\n").at(-1), 30) }), () => page.ask({ chat: "" }, { settled: true }), t),
    question.not && chip(t("chip_not", { text: clip(question.not, 30) }), () => page.ask({ not: "" }, { settled: true }), t),
    question.not && question.not_weight !== DEFAULTS.not_weight && weight("not_weight", question, page),
    page.picture && question.picture_weight !== DEFAULTS.picture_weight && weight("picture_weight", question, page),
    question.only && chip(t("chip_only", { reaction: t(REACTION + question.only) }), () => page.ask({ only: "" }, { settled: true }), t),
    ...["tag", "license", "source"].flatMap((name) =>
      list(name).map(([value, change]) => chip(t(`chip_${name}`, { value: clip(value, 30) }), () => page.ask(change, { settled: true }), t)),
    ),
    question.animated && chip(t("animated_only"), () => page.ask({ animated: false }, { settled: true }), t),
    question.min > 0 && chip(t("chip_min", { value: question.min }), () => page.ask({ min: 0 }, { settled: true }), t),
    !question.fold && chip(t("chip_unfolded"), () => page.ask({ fold: true }, { settled: true }), t),
  ].filter(Boolean);
  return [...chips, ...renderReactions(question, page)];
}

function weight(name, question, page) {
  const text = `${page.t(name)}: ${question[name]}`;
  return chip(text, () => page.ask({ [name]: DEFAULTS[name] }, { settled: true }), page.t);
}

function likeLabel(page) {
  const title = page.like ? clip(page.like.title, 30) : clip(page.question.like, 12);
  return page.t("chip_like", { title });
}

function chip(text, remove, t, gif = null, page = null) {
  return el(
    "span",
    { className: "chip" },
    gif && page ? renderThumb(gif, page, text, remove, { tabIndex: -1, "aria-hidden": "true" }) : null,
    el("span", { className: "text" }, text),
    el("button", { type: "button", className: "remove", "aria-label": `${t("remove")}: ${text}`, title: t("remove"), on: { click: remove } }, icon("close")),
  );
}

/** The reactions that were recognised: each can be turned off, or made the only one. */
function renderReactions(question, page) {
  const { t, answer } = page;
  if (!answer?.reactions || question.only) return [];
  const recognised = answer.reactions.map(({ name }) => name);
  const others = question.off.filter((name) => !recognised.includes(name)); // of the address
  const toggles = [...answer.reactions, ...others.map((name) => ({ name, probability: 0 }))].map(({ name, probability }) => {
    const isOn = !question.off.includes(name);
    const off = isOn ? [...question.off, name] : question.off.filter((other) => other !== name);
    return el(
      "button",
      {
        type: "button",
        className: "pill reaction",
        "aria-pressed": String(isOn),
        title: t("calls_for_help"),
        "aria-describedby": "calls-for",
        on: { click: () => page.ask({ off }, { settled: true }) },
      },
      `${t(REACTION + name)} ${Math.round(100 * probability)} %`,
    );
  });
  if (!toggles.length) return [];
  return [el("span", { className: "label", id: "calls-for" }, t("calls_for")), ...toggles];
}
