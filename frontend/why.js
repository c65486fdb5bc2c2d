// The dialog that says why a GIF was found, with its frames, its facts, and ways to take it.

import { clip, el, iconButton } from "./dom.js";
import { linkOf, markdownOf } from "./take.js";

/** Fill a <dialog> for a GIF. `page` as in renderCard, plus config, answer, feedback, sentenceOf(). */
export function renderWhy(gif, page) {
  const { t } = page;
  return el(
    "article",
    {},
    el("header", {}, el("h2", {}, clip(gif.title, 1000)), iconButton("close", t("close"), () => page.dialog.close())),
    renderShares(gif, t),
    gif.words && renderWords(gif.words, page),
    gif.blob || page.config.frames !== false ? renderFrames(gif, page) : null, // a page without a server knows the mean
    page.feedback && !gif.blob && page.answer?.question ? renderVote(gif, page) : null,
    renderFacts(gif, t),
    gif.alike.length
      ? el("section", {}, el("p", {}, t("same")), el("ul", {}, gif.alike.map((other) => el("li", {}, clip(other.title)))))
      : null,
    gif.file ? renderTake(gif, page) : null,
  );
}

function renderShares(gif, t) {
  const shares = Object.entries(gif.shares ?? {});
  if (!shares.length) return null;
  const reactions = Object.entries(gif.reactions ?? {}).map(([name, p]) => `${t(`reaction_${name}`)} (${Math.round(100 * p)} %)`);
  return el(
    "section",
    {},
    reactions.length ? el("p", {}, t("recognised", { reactions: reactions.join(" · ") })) : null,
    reactions.length ? el("p", {}, t(gif.expresses ? "expresses" : "expresses_not")) : null,
    el("p", {}, t("shares")),
    el(
      "dl",
      { className: "shares" },
      shares.map(([name, share]) => [
        el("dt", {}, t(`signal_${name}`)),
        el("dd", {}, el("meter", { min: 0, max: 1, value: share, "aria-label": t(`signal_${name}`) }), ` ${Math.round(100 * share)} %`),
      ]),
    ),
  );
}

function renderWords(words, page) {
  const [left, top, right, bottom] = words.box.map((edge) => `${100 * Math.min(1, Math.max(0, edge))}%`);
  const width = `calc(${right} - ${left})`;
  const height = `calc(${bottom} - ${top})`;
  return el(
    "section",
    {},
    el(
      "p",
      {},
      page.t("words_read", { text: clip(words.text, 1000), n: words.frame, s: words.time_ms / 1000, percent: Math.round(100 * words.confidence) }),
    ),
    words.still && el(
      "div",
      { className: "words" },
      el("img", { src: page.source.address(words.still), alt: words.text }),
      el("div", { className: "mark", style: { left, top, width, height } }),
    ),
  );
}

function renderFrames(gif, page) {
  const best = gif.best_frame;
  return el(
    "section",
    {},
    best === null ? null : el("p", {}, page.t("best_frame", { n: best, s: gif.best_frame_ms / 1000 })),
    el(
      "div",
      { className: "frames" },
      gif.frames.map((frame) =>
        el(
          "figure",
          { className: frame.index === best ? "best" : "" },
          frame.still && !gif.blob ? el("img", { src: page.source.address(frame.still), alt: `${(frame.time_ms / 1000).toFixed(1)} s`, loading: "lazy" }) : null,
          el("figcaption", {}, `${(frame.time_ms / 1000).toFixed(1)} s: `, el("b", {}, frame.score.toFixed(2))),
        ),
      ),
    ),
  );
}

function renderVote(gif, page) {
  const { t } = page;
  const key = `${page.answer.question}\n${gif.id}`;
  const status = el("p", { role: "status", className: "small" });
  const answers = [true, false].map((fits) =>
    el(
      "button",
      { type: "button", className: "pill", "aria-pressed": String(page.dialog.votes.get(key)?.fits === fits), on: { click: () => give(fits) } },
      t(fits ? "fits_yes" : "fits_no"),
    ),
  );
  async function give(fits) {
    try {
      await page.dialog.vote(key, gif, fits);
      answers.forEach((button, number) => button.setAttribute("aria-pressed", String(fits === (number === 0))));
      status.textContent = t("fits_thanks");
    } catch (error) {
      status.textContent = page.sentenceOf(error);
    }
  }
  return el(
    "section",
    { className: "vote", role: "group", "aria-label": t("fits") },
    el("p", {}, t("fits"), " ", ...answers),
    el("p", { className: "small" }, t("fits_kept")),
    el("p", { className: "small" }, clip(page.answer.question, 1000)),
    status,
  );
}

function renderFacts(gif, t) {
  const size = gif.bytes ? `, ${(gif.bytes / 1000).toFixed(0)} kB` : "";
  const facts = [
    [t("tags"), gif.tags.join(", ") || t("unknown")],
    [t("license"), gif.license || t("unknown")],
    [t("attribution"), gif.attribution || t("unknown")],
    [t("size"), `${gif.width} × ${gif.height}${size}`],
  ];
  if (gif.source_is_web) facts.push([t("from"), el("a", { href: gif.source, target: "_blank", rel: "noopener noreferrer" }, clip(gif.source, 80))]);
  return el("dl", { className: "facts" }, facts.map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
}

function renderTake(gif, page) {
  const { t } = page;
  const row = (label, text, copy) =>
    el(
      "div",
      { className: "copy" },
      el("span", { className: "label" }, label),
      el("code", { tabIndex: 0, role: "textbox", "aria-readonly": "true", "aria-label": label }, text),
      el("button", { type: "button", className: "pill", on: { click: copy } }, t("copy")),
    );
  return el(
    "section",
    {},
    el("h3", {}, t("take")),
    el("button", { type: "button", className: "pill", on: { click: () => page.taking.download(gif) } }, t("download")),
    row(t("link"), linkOf(gif, page.source), () => page.taking.take(gif, null, { alwaysCopies: true })),
    row(t("markdown"), markdownOf(gif, page.source), () => page.taking.markdown(gif)),
  );
}
