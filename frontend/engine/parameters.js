// The parameters of a search, read and checked as retrieval.api.questions does it.

import { Refusal, wrong } from "./refusal.js";

const LISTS = new Set(["off", "tag", "license", "source", "signals"]); // may be repeated

export function parseLanguage(parameters, facts) {
  const languages = Object.keys(facts.texts);
  const language = parameters.get("lang") || languages[0];
  if (!languages.includes(language)) throw wrong("lang", language);
  return language;
}

/** What is asked, how the answer is narrowed, and which page of it is wanted. */
export function parseQuestion(parameters, facts) {
  const { max_limit, default_limit } = facts.constants;
  for (const name of new Set(parameters.keys())) {
    const n = parameters.getAll(name).length;
    if (n > 1 && !LISTS.has(name)) throw new Refusal(422, "engine_repeated", { name, n }, "parameter");
  }
  const text = (name) => (parameters.get(name) ?? "").trim();
  const number = (name, fallback, least, most, isWhole) => {
    const given = parameters.get(name) ?? "";
    if (!given) return fallback;
    const value = (isWhole ? /^\s*[+-]?\d+\s*$/ : /\S/).test(given) ? Number(given) : NaN;
    if (!(value >= least && value <= most)) throw wrong(name, given);
    return value;
  };
  const flag = (name, fallback) => {
    const given = parameters.get(name) ?? "";
    if (!["", "0", "1"].includes(given)) throw wrong(name, given);
    return given ? given === "1" : fallback;
  };
  const oneOf = (name, given, known) => {
    if (given && !known.includes(given)) throw wrong(name, given);
    return given;
  };
  const reactions = facts.reactions.names;
  const message = text("q");
  const chat = text("chat");
  const picture = parameters.get("picture") ?? "";
  return {
    message,
    chat,
    picture,
    isAsked: Boolean(message || chat || picture),
    negative: text("not"),
    negativeWeight: number("not_weight", 0.5, 0, 1),
    pictureWeight: number("picture_weight", 1, 0.1, 3),
    like: text("like"),
    off: parameters.getAll("off").filter(Boolean).map((name) => oneOf("off", name, reactions)),
    only: oneOf("only", parameters.get("only") ?? "", reactions),
    browse: oneOf("browse", parameters.get("browse") ?? "", reactions),
    surprise: number("surprise", null, 0, 2 ** 53, true),
    keep: {
      tags: parameters.getAll("tag"),
      licenses: parameters.getAll("license"),
      sources: parameters.getAll("source"),
      animatedOnly: flag("animated", false),
      minScore: number("min", 0, 0, 1) || null,
    },
    fold: flag("fold", true),
    signals: parameters.getAll("signals").map((name) => oneOf("signals", name, facts.all_signals)),
    fusion: oneOf("fusion", parameters.get("fusion") ?? "", facts.fusions),
    mine: parameters.get("mine") ?? "",
    limit: number("limit", default_limit, 1, max_limit, true),
    offset: number("offset", 0, 0, 2 ** 31, true),
    language: parseLanguage(parameters, facts),
  };
}
