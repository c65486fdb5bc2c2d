// A question and a collection to the JSON of an answer: retrieval.api.answers.

import { chosenReactions, likely } from "./reactions.js";
import { gifJson } from "./gif.js";
import { namedBy } from "./letters.js";
import { browsingOrder } from "./browsing.js";
import { chatTerms } from "./query.js";
import { Refusal, wrong } from "./refusal.js";

const BY_NAME = ["names"]; // by what an answer before the model is in order

/** The page of results that is asked for, and what is said about it. `query` is null: browse. */
export function answer(question, query, searching) {
  const { collection, facts, t } = searching;
  const start = performance.now();
  const found = query ? search(question, query, searching) : browse(question, searching);
  const took = performance.now() - start;
  const isLast = found.results.length <= question.limit;
  const results = found.results.slice(0, question.limit);
  const byName = Boolean(query?.isByName);
  const shape = { isRanked: found.signals.length > 0, hasScore: Boolean(query) && !byName };
  const like = question.like ? collection.catalog.find(question.like) : -1;
  const byFrames = found.signals.length === 1 && found.signals[0] === "frames";
  const said = {
    gifs: results.map((result) => gifJson(result, collection, facts, shape)),
    offset: question.offset,
    next_offset: isLast ? null : question.offset + results.length,
    total: collection.n,
    took_ms: Number(took.toFixed(2)),
    signals: found.signals,
    score: !shape.hasScore ? null : byFrames ? "cosine" : "probability",
    reactions: recognised(query, searching),
    notes: notesFor(question, searching),
    like: like < 0 ? null : single(like, searching),
    empty: results.length || question.offset ? null : explainNothing(question, query, searching),
    question: !query || question.mine ? "" : describe(question, like, searching),
  };
  if (byName) said.provisional = true;
  return said;
}

/** One GIF as JSON, that nobody asked for. */
export function single(gif, { collection, facts }) {
  const { frame, time_ms } = collection.catalog.columns;
  const result = { gif, frames: [{ index: frame[gif], time_ms: time_ms[gif], score: 0 }] };
  return gifJson(result, collection, facts, { isRanked: false, hasScore: false });
}

function search(question, query, searching) {
  const { collection, facts } = searching;
  const { keep, fold, offset } = question;
  const topK = offset + question.limit + 1; // one more, to see whether there is another page
  const allowed = collection.allowed(query.message, collection.catalog.mask(keep));
  const least = keep.minScore ?? -Infinity;
  if (query.isByName) return { signals: BY_NAME, results: byName(question, query, searching, allowed) };
  const signals = signalsFor(question, query, searching);
  const reactions = chosenReactions(query.reactions, facts.reactions.names, question.only, question.off);
  if (query.reactions && !reactions) throw new Refusal(422, "engine_all_off");
  if (signals.every((name) => name === "frames") || !query.answers) {
    const ranked = collection.rankByFrames(query.vector, topK, allowed, least, fold);
    return { signals, results: resultsOf(ranked, query, question, searching, allowed, least) };
  }
  const chosen = { ...query, reactions };
  const ranked = searching.fusion.rank(chosen, topK, allowed, least, fold, signals, question.fusion || "sum");
  return { signals, results: resultsOf(ranked, chosen, question, searching, allowed, -Infinity) };
}

function byName({ offset, limit, fold }, query, { collection, facts }, allowed) {
  let gifs = namedBy(query.message.text, collection, facts.reactions.titles, facts.constants);
  if (allowed) gifs = gifs.filter((gif) => allowed[gif]);
  if (fold) gifs = collection.catalog.oneOfEachGroup(gifs);
  return gifs.slice(offset, offset + limit + 1).map((gif, i) => ({
    gif,
    rank: offset + i + 1,
    frames: [],
    parts: { names: 1 },
    folded: fold ? collection.catalog.alike(gif, allowed) : [],
  }));
}

/** The signals to rank by: those that are asked for, of those that can rank for this query. */
function signalsFor(question, query, { collection, facts }) {
  const known = collection.kinds ? facts.signals : ["frames"];
  const usable = query.answers ? known : ["frames"];
  const unknown = question.signals.find((name) => !known.includes(name));
  if (unknown) throw wrong("signals", unknown);
  const asked = usable.filter((name) => question.signals.includes(name));
  return asked.length ? asked : usable;
}

/** The results of a page: numbers of GIFs and what is known of them. */
function resultsOf(ranked, query, { offset, fold }, { collection, facts }, allowed, least) {
  const { kinds, catalog } = collection;
  const names = facts.reactions.names;
  return ranked.gifs.slice(offset).map((gif, i) => {
    const at = offset + i;
    const result = {
      gif,
      rank: at + 1,
      score: ranked.scores[at],
      frames: collection.framesOf(gif, query.vector),
      folded: fold ? collection.folded(query.vector, gif, allowed, least) : [],
    };
    if (!ranked.parts) return result;
    result.parts = Object.fromEntries(
      Object.entries(ranked.parts).map(([name, part]) => [name, part[at]]).filter(([, part]) => !Number.isNaN(part)),
    );
    const row = ranked.texts[at];
    if (row >= 0) result.words = catalog.textsOf(gif)[row - collection.words.starts[gif]];
    const shared = names.map((_, r) => query.reactions[r] * kinds[gif * names.length + r]);
    const best = [...shared.keys()].sort((a, b) => shared[b] - shared[a] || a - b).slice(0, 2);
    result.reactions = Object.fromEntries(best.map((r) => [names[r], query.reactions[r]]));
    return result;
  });
}

function browse({ browse: reaction, surprise, keep, fold, offset, limit }, { collection, facts }) {
  const { catalog } = collection;
  const { gifs, scores } = browsingOrder(collection, facts.reactions.names, reaction, surprise);
  const allowed = catalog.mask(keep);
  let order = allowed ? gifs.filter((gif) => allowed[gif]) : gifs;
  if (fold) order = catalog.oneOfEachGroup(order);
  const results = Array.from(order.slice(offset, offset + limit + 1), (gif, i) => ({
    gif,
    rank: offset + i + 1,
    score: scores[gif],
    frames: [],
    folded: fold ? catalog.alike(gif, allowed) : [],
  }));
  return { results, signals: reaction ? ["reaction"] : [] };
}

/** The reactions that a message calls for; null where they do not count. */
function recognised(query, { collection, facts }) {
  if (!query?.reactions || !collection.kinds || !facts.signals.includes("reaction")) return null;
  const { recognised: least, max_chips } = facts.constants;
  return likely(query.reactions, least).slice(0, max_chips)
    .map(([number, p]) => ({ name: facts.reactions.names[number], probability: Number(p.toFixed(4)) }));
}

function notesFor(question, { collection, facts, languageOf }) {
  const { by_language, sight, outdated } = facts.advice;
  const { language } = question;
  const spoken = languageOf(`${question.message} ${question.chat}`);
  const notes = spoken ? [...by_language[spoken][language]] : [];
  if (collection.catalog.isOwn) return notes;
  notes.push(...outdated[language]);
  const byFrames = question.like || question.picture || facts.signals.every((name) => name === "frames");
  return byFrames ? [...notes, ...sight[language]] : notes;
}

/** Why there are no results, and what to change. */
function explainNothing(question, query, { collection, facts, t }) {
  const { language, keep } = question;
  const { phrase_chars } = facts.constants;
  if (query) {
    const missing = query.message?.required.find((phrase) => !collection.containing(phrase).length);
    if (missing) {
      const phrase = missing.length > phrase_chars ? `${missing.slice(0, phrase_chars - 1)}…` : missing;
      return t(language, "nothing_says", { phrase });
    }
    if (query.message?.required.length || query.message?.excluded.length) return t(language, "nothing_together");
    if (query.isByName) return t(language, "engine_provisional");
    if (keep.minScore) return t(language, "nothing", { min_score: keep.minScore });
  }
  return t(language, "nothing_filtered");
}

/** The question as text, one message a line, then notes on the rest of it. */
function describe(question, like, { collection, facts }) {
  if (like >= 0) return `(like: ${collection.catalog.columns.title[like]})`;
  const chat = chatTerms(question.chat, facts.constants).map((term) => term.text);
  const messages = question.message ? [question.message, ...chat] : chat;
  const negative = question.negativeWeight ? question.negative : "";
  return [messages.join("\n"), question.picture && "(a picture)", negative && `(not: ${negative})`].filter(Boolean).join(" ");
}
