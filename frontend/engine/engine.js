// The search engine of a static site: requests of the API, answered from the data files.
//
// It starts with the catalogue alone, and answers better as more arrives: frames and texts, then
// the encoder. It knows no DOM and no network; worker.js brings both together.

import { Collection } from "./collection.js";
import { Catalog } from "./catalog.js";
import { Fusion } from "./fusion.js";
import { Phrases } from "./phrases.js";
import { ReactionModel } from "./reactions.js";
import { Refusal } from "./refusal.js";
import { answer, single } from "./answers.js";
import { languageReader } from "./languages.js";
import { parseLanguage, parseQuestion } from "./parameters.js";
import { termsOf, understand, wholeMessage } from "./query.js";
import { translator } from "./texts.js";
import { Visitor } from "./visitor.js";

const TITLES = { 404: "Not Found", 409: "Conflict", 410: "Gone", 413: "Content Too Large", 422: "Unprocessable Entity", 500: "Internal Server Error", 503: "Service Unavailable" };

/** A promise with the functions that settle it. */
function stage() {
  const made = {};
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }));
  made.promise.catch(() => {}); // whoever needs it says so
  return made;
}

export class Engine {
  /** `facts` is data.json, `columns` catalog.json, `kinds` the array of kinds.bin or null. */
  constructor(facts, columns, kinds = null) {
    this.facts = facts;
    this.t = translator(facts.texts);
    this.languageOf = languageReader(facts.advice);
    this.collection = new Collection(new Catalog(columns), facts.dim);
    this.collection.kinds = kinds;
    const hasNames = !kinds || facts.signals.includes("names");
    const texts = columns.name.map((name, gif) => [hasNames ? name : "", (columns.texts[gif] ?? []).map(([text]) => text).join(" / ")]);
    this.collection.phrases = new Phrases(texts, facts.constants);
    this.fusion = facts.weights && new Fusion(this.collection, facts.weights, facts.constants);
    this.encoder = this.model = this.failure = null;
    this.examples = new Map();
    this.recent = new Map(); // questions → queries: every page of an answer needs the same one
    this.fraction = 0;
    this.frames = stage();
    this.meaning = stage();
    this.visitor = new Visitor(facts);
  }

  /** Frames and texts are there: arrays of frames.bin, names.bin, words.bin, examples.bin. */
  setVectors({ frames, names, words, examples }) {
    this.collection.setFrames(frames);
    if (names) this.collection.setTexts("names", names);
    if (words) this.collection.setTexts("words", words);
    if (examples) this.setExamples(examples);
    this.frames.resolve();
  }

  setExamples({ vectors, answers, reactions }) {
    const row = (array, number) => {
      const width = array.length / this.facts.examples.length;
      return array.slice(number * width, (number + 1) * width);
    };
    this.facts.examples.forEach((text, number) => {
      this.examples.set(text, {
        vector: row(vectors, number),
        message: { text, required: [], excluded: [] },
        answers: answers ? row(answers, number) : null,
        reactions: reactions ? row(reactions, number) : null,
      });
    });
  }

  /** The model is there: an encoder, and the arrays of reactions.bin or null. */
  setEncoder(encoder, reactions = null) {
    this.model = reactions && new ReactionModel(reactions, this.facts.neighbours, this.facts.reactions.names);
    this.encoder = encoder;
    this.fraction = 1;
    this.meaning.resolve();
  }

  /** Frames or the model will not come: requests that need them are refused for this reason. */
  fail(refusal) {
    this.failure = refusal;
    this.frames.reject(refusal);
    this.meaning.reject(refusal);
  }

  /** {status, json} for a request of the protocol. */
  async request({ path, method = "GET", body = null }) {
    const [place, asked = ""] = path.split("?");
    const parameters = new URLSearchParams(asked);
    const languages = Object.keys(this.facts.texts);
    const language = languages.includes(parameters.get("lang")) ? parameters.get("lang") : this.language ?? languages[0];
    try {
      const json = await this.operation(method, place.split("/").map(decodeURIComponent), parameters, body);
      return { status: json === null ? 204 : 200, json };
    } catch (error) {
      return this.problem(error, language);
    }
  }

  problem(error, language) {
    const isRefusal = error instanceof Refusal;
    if (!isRefusal) console.error(error);
    const status = isRefusal ? error.status : 500;
    const detail = isRefusal ? this.t(language, error.key, error.values) : this.t(language, "engine_failed", { reason: error.message });
    const json = { type: "about:blank", title: TITLES[status], status, detail };
    const code = isRefusal ? error.code : "failed";
    return { status, json: code ? { ...json, code } : json };
  }

  async operation(method, [name, rest], parameters, body) {
    const { facts } = this;
    const key = `${method} ${name}${rest === undefined ? "" : "/"}`;
    if (key === "GET search") return this.search(parseQuestion(parameters, facts));
    if (key === "GET gifs/") return single(this.numberOf(rest), this);
    if (key === "GET categories") return this.categories(parseLanguage(parameters, facts));
    if (key === "GET filters") return facts.filters;
    if (key === "GET state") return this.state(parseLanguage(parameters, facts));
    if (key === "POST pictures") return this.visitor.addPicture(body, await this.pictures());
    if (key === "POST mine") return this.visitor.addOwn(parameters, body, await this.pictures());
    if (key === "DELETE mine/") return this.visitor.forget(rest);
    throw new Refusal(404, "engine_no_operation", { path: rest === undefined ? name : `${name}/${rest}` }, "unknown_path");
  }

  /** The encoder, if it embeds pictures. */
  async pictures() {
    await this.meaning.promise;
    if (!this.encoder.hasPictures) throw new Refusal(422, "engine_no_image_tower", {}, "no_image_tower");
    return this.encoder;
  }

  numberOf(id) {
    const gif = this.collection.catalog.find(id);
    if (gif < 0) throw new Refusal(404, "engine_unknown_gif", { id: id.slice(0, 12) }, "unknown_gif");
    return gif;
  }

  async search(question) {
    const { facts } = this;
    const own = question.mine ? this.visitor.own(question.mine) : null;
    const searching = { ...this, collection: own ?? this.collection };
    if (own) question = { ...question, like: "" };
    if (question.browse && !question.isAsked && !searching.collection.kinds) {
      const title = facts.reactions.titles.en[facts.reactions.names.indexOf(question.browse)];
      question = { ...question, message: title, browse: "", isAsked: true };
    }
    return answer(question, await this.queryOf(question, own), searching);
  }

  /** What is asked; null if nothing is. Before the model is there, a message by its letters. */
  async queryOf(question, own) {
    const { constants } = this.facts;
    if (question.like) {
      const gif = this.numberOf(question.like);
      await this.frames.promise;
      return { vector: this.collection.frames.vector(gif), message: null, answers: null, reactions: null };
    }
    if (!question.isAsked) return null;
    const picture = question.picture ? this.visitor.picture(question.picture) : null;
    const terms = termsOf(question, constants, picture);
    const isKnown = terms.length === 1 && this.examples.has(terms[0].text);
    if (isKnown) return forCollection(this.examples.get(terms[0].text), own);
    if (own || picture) await this.meaning.promise;
    if (!this.encoder) return { isByName: true, message: wholeMessage(terms, constants) };
    const key = JSON.stringify([question.message, question.chat, question.picture, question.pictureWeight, question.negative, question.negativeWeight]);
    if (!this.recent.has(key)) {
      const query = await understand(terms, this.encoder, this.model, constants);
      this.recent.set(key, query);
      if (this.recent.size > constants.kept_queries) this.recent.delete(this.recent.keys().next().value);
    }
    return forCollection(this.recent.get(key), own);
  }

  categories(language) {
    const { names, titles } = this.facts.reactions;
    const { shown } = this.facts;
    const categories = names.map((name, number) => ({
      name,
      title: titles[language][number],
      gif: name in shown ? single(shown[name], this) : null,
    }));
    return { categories: categories.sort((a, b) => (a.title < b.title ? -1 : a.title > b.title ? 1 : 0)) };
  }

  state(language) {
    const ready = Boolean(this.encoder);
    const { failure } = this;
    const error = failure ? this.t(language, failure.key, failure.values) : null;
    const step = "loading_checkpoint";
    return { ready, step, text: this.t(language, step), fraction: this.fraction, error };
  }
}

/** A visitor's own pictures are ranked by frames alone. */
function forCollection(query, own) {
  return own ? { ...query, answers: null, reactions: null } : query;
}
