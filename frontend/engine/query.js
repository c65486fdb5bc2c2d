// The parts of a query: retrieval.search.query and Searcher.understand.

import { dot, unit } from "./arrays.js";
import { Refusal } from "./refusal.js";

const QUOTED = /["“”„]([^"“”„]+)["“”]/g;
const EXCLUDED = /(?<=\s|^)-(\p{L}[\p{L}\p{N}_']*)/gu;

const words = (text) => text.split(/\s+/).filter(Boolean).join(" ");

/** {text, required, excluded}: `"quoted text"` must be there, `-word` must not. */
export function parseMessage(message) {
  const required = [...message.matchAll(QUOTED)].map((found) => words(found[1]));
  const excluded = [...message.replace(QUOTED, " ").matchAll(EXCLUDED)].map((found) => found[1]);
  let text = message;
  if (excluded.length) text = text.replace(EXCLUDED, " ");
  if (required.length || excluded.length) text = words(text.replace(QUOTED, "$1"));
  if (excluded.length && !text) throw new Refusal(422, "engine_only_excluded", { word: excluded[0] });
  return { text, required: required.filter(Boolean), excluded };
}

/** The lines of a pasted chat as terms, each with half the weight of the next. */
export function chatTerms(text, { max_chat_lines }) {
  const lines = text.split(/\r\n|[\n\v\f\r\x1c-\x1e\x85\u2028\u2029]/).map((line) => line.trim()).filter(Boolean).slice(-max_chat_lines);
  return lines.map((line, i) => ({ text: line, weight: 0.5 ** (lines.length - 1 - i) }));
}

export function checkMessage(message, { max_message_chars }) {
  if (!message.trim()) throw new Refusal(422, "engine_empty_message");
  const n = [...message].length;
  if (n > max_message_chars) {
    throw new Refusal(422, "engine_long_message", { n: n.toLocaleString("en"), most: max_message_chars.toLocaleString("en") });
  }
}

/** The terms of a question: {text or vector, weight}. */
export function termsOf(question, constants, picture) {
  const terms = [];
  if (question.message) terms.push({ text: question.message, weight: 1 });
  terms.push(...chatTerms(question.chat, constants));
  if (picture) terms.push({ vector: picture, weight: question.pictureWeight });
  if (question.negative && question.negativeWeight) terms.push({ text: question.negative, weight: -question.negativeWeight });
  return terms;
}

/** The message of terms as a whole, without its operators; null if they have none. */
export function wholeMessage(terms, constants) {
  const messages = [];
  for (const term of terms) {
    if (term.text === undefined) continue;
    const message = parseMessage(term.text);
    checkMessage(message.text, constants);
    term.text = message.text;
    if (term.weight > 0) messages.push(message);
  }
  if (!messages.length) return null;
  return {
    text: messages.map((message) => message.text).join(" "),
    required: messages.flatMap((message) => message.required),
    excluded: messages.flatMap((message) => message.excluded),
  };
}

/**
 * What terms ask for: {vector, message, answers, reactions}.
 * `encoder.encode(texts)` gives {embeddings, sentences}; `model` is the ReactionModel or null.
 */
export async function understand(terms, encoder, model, constants) {
  const message = wholeMessage(terms, constants);
  const said = terms.filter((term) => term.text !== undefined);
  const encoded = said.length ? await encoder.encode(said.map((term) => term.text), Boolean(model)) : null;
  let next = 0;
  const vectors = terms.map((term) => term.vector ?? encoded.embeddings[next++]);
  const vector = weighted(vectors, terms.map((term) => term.weight));
  if (dot(vector, vector) < 1e-12) throw new Refusal(422, "engine_cancelled");
  const query = { vector: unit(vector), message, answers: null, reactions: null };
  if (!message || !model) return query;
  const weights = said.map((term) => term.weight);
  query.answers = model.answers(unit(weighted(encoded.sentences, weights), 1e-6));
  const positive = weights.map((weight) => Math.max(weight, 0));
  const total = positive.reduce((sum, weight) => sum + weight, 0);
  query.reactions = weighted(encoded.sentences.map((sentence) => model.calledFor(sentence)), positive.map((w) => w / total));
  return query;
}

function weighted(vectors, weights) {
  const sum = new Float32Array(vectors[0].length);
  vectors.forEach((vector, i) => {
    if (weights[i]) for (let j = 0; j < sum.length; j++) sum[j] += weights[i] * vector[j];
  });
  return sum;
}
