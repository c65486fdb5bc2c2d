// What a visitor asks, as the page's address holds it. Uploads are not part of the address.

export const OPENING = "You're awesome"; // the original demo's own

export const DEFAULTS = Object.freeze({
  q: "",
  chat: "",
  not: "",
  not_weight: 0.5,
  picture_weight: 1,
  like: "",
  browse: "",
  surprise: "",
  only: "",
  off: [],
  tag: [],
  license: [],
  source: [],
  animated: false,
  min: 0,
  fold: true,
  play: null, // null: as the system asks for (prefers-reduced-motion)
});

// Each of these asks in a way of its own, without the message and what belongs to it.
const MODES = ["like", "browse", "surprise"];
const OF_A_MESSAGE = ["q", "chat", "not", "only", "off"];
const FILTERS = ["tag", "license", "source", "animated", "min", "fold"];

/** The question of an address; without any, the opening message. */
export function parseQuestion(search) {
  const given = new URLSearchParams(search);
  const question = { ...DEFAULTS };
  for (const [name, value] of Object.entries(DEFAULTS)) {
    if (!given.has(name)) continue;
    const text = given.get(name);
    if (Array.isArray(value)) question[name] = given.getAll(name);
    else if (typeof value === "number") question[name] = Number.isFinite(Number(text)) && text.trim() ? Number(text) : value;
    else if (typeof value === "boolean" || value === null) question[name] = isOn(text, value);
    else question[name] = text;
  }
  const mode = MODES.find((name) => question[name]);
  if (mode) return { ...only(question, [mode, ...FILTERS]), play: question.play };
  if (!given.has("q") && !question.chat) question.q = OPENING;
  return question;
}

function isOn(text, otherwise) {
  if (["1", "true", "on"].includes(text.toLowerCase())) return true;
  return ["0", "false", "off"].includes(text.toLowerCase()) ? false : otherwise;
}

function only(question, names) {
  const kept = { ...DEFAULTS };
  for (const name of names) kept[name] = question[name];
  return kept;
}

/** The question that a change leads to; entering a mode leaves the message, typing leaves modes. */
export function changed(question, change) {
  const mode = MODES.find((name) => change[name]);
  if (mode) return { ...only(question, FILTERS), play: question.play, ...change };
  const next = { ...question, ...change };
  if (OF_A_MESSAGE.some((name) => name in change)) for (const name of MODES) next[name] = "";
  if ("q" in change && change.q !== question.q) Object.assign(next, { off: [], only: "" });
  return next;
}

/** The question as parameters, without what is at its default. */
export function toParameters(question) {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(DEFAULTS)) {
    const own = question[name];
    if (Array.isArray(value)) own.forEach((item) => parameters.append(name, item));
    else if (own !== value) parameters.set(name, typeof own === "boolean" ? (own ? "1" : "0") : own);
  }
  return parameters;
}

/** The address of the question: "" for the opening, so that the first page stays short. */
export function toSearch(question) {
  const parameters = toParameters(question);
  const isAsked = ["chat", ...MODES].some((name) => question[name]);
  if (question.q === OPENING && !isAsked) parameters.delete("q");
  else if (!isAsked) parameters.set("q", question.q); // also an empty one: the visitor cleared it
  const text = parameters.toString();
  return text ? `?${text}` : "";
}

export function isMode(question) {
  return MODES.some((name) => question[name]);
}

/** Whether the page is as it opens: nothing typed, chosen or filtered yet. */
export function isOpening(question) {
  return toSearch({ ...question, play: null }) === "";
}
