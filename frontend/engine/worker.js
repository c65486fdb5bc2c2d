// The worker of a static site's page. Protocol, in messages:
//
//   page → {start: {base, lang}}, {load: true} once pictures are on the screen, then requests
//          {id, path, method?, body?}
//   → {id, status, json}, the API's answers and problems
//   → {event: "progress", loaded, total}, bytes of the model
//   → {event: "ready", by: "names"}, then {event: "ready", by: "meaning"}
//   → {event: "failed", text, key, values}: what did not load, in a sentence; the rest goes on
//
// If not even the sentences come, with data.json, the worker has an error event.

import { Engine } from "./engine.js";
import { Files } from "./files.js";
import { Model } from "./model.js";
import { fill } from "./texts.js";
import { readArrays } from "./arrays.js";

const PROGRESS_MS = 50; // between two messages
const LOAD_AFTER_MS = 1_500; // at the latest: a page without a result has no pictures

let ready; // a promise of the engine
let onPictures;
const pictures = new Promise((resolve) => (onPictures = resolve)); // the page has shown some

function say(message) {
  self.postMessage(message);
}

/** A function that tells the page how much has come, now and then; `seen` gets each fraction. */
function reporter(seen) {
  let last = 0;
  return (loaded, total) => {
    const now = performance.now();
    seen(loaded / total);
    if (now - last < PROGRESS_MS && loaded < total) return;
    last = now;
    say({ event: "progress", loaded, total });
  };
}

/** Open the catalogue; returns the engine, and a function that loads the rest. */
async function open({ base, lang }) {
  let engine = null;
  const files = new Files(base, reporter((fraction) => engine && (engine.fraction = fraction)));
  const facts = await files.json("data/data.json");
  const arrays = async (name, isCounted = false) => {
    const known = facts.files[name];
    return known ? readArrays(await files.bytes(`data/${name}`, known, isCounted), known.arrays) : null;
  };
  const table = (name) => files.json(`data/${name}`, facts.files[name]);
  try {
    const [columns, kinds] = await Promise.all([table("catalog.json"), arrays("kinds.bin")]);
    engine = new Engine(facts, columns, kinds?.kinds);
  } catch (error) {
    error.facts = facts;
    throw error;
  }
  engine.language = lang;
  const load = () =>
    loadRest(engine, files, arrays, table).catch((error) => {
      files.onProgress = () => {};
      engine.fail(error);
      fail(error, facts, lang);
    });
  return { engine, load };
}

/**
 * Frames and texts, then the model. What is large waits until the first pictures are there, which
 * would share the connection with it; then all is fetched at once. What fails is said in this order.
 */
async function loadRest(engine, files, arrays, table) {
  const known = engine.facts.files["reactions.bin"];
  if (known) files.expect(known);
  const later = Promise.race([pictures, new Promise((resolve) => setTimeout(resolve, LOAD_AFTER_MS))]);
  const reactions = later.then(() => arrays("reactions.bin", true));
  const model = later.then(() => openModel(files, table));
  for (const promise of [reactions, model]) promise.catch(() => {});
  const names = ["frames", "names", "words", "examples"];
  const vectors = await Promise.all(names.map((name) => arrays(`${name}.bin`)));
  engine.setVectors(Object.fromEntries(names.map((name, i) => [name, vectors[i]])));
  engine.setEncoder(await model, await reactions);
  say({ event: "ready", by: "meaning" });
}

async function openModel(files, table) {
  const [described, tables] = await Promise.all([files.json("model/model.json"), table("cleaning.json")]);
  const model = new Model(described, files, tables);
  await model.load();
  return model;
}

function fail(error, facts, lang) {
  const { key = "engine_failed", values = { reason: error.message } } = error;
  const text = fill(facts?.texts[lang]?.[key] ?? "", values);
  if (text) say({ event: "failed", text, key, values });
  else setTimeout(() => { throw error; }); // the page hears of it by the worker's error event
}

async function start(given) {
  const opening = open(given);
  ready = opening.then(({ engine }) => engine);
  try {
    const { load } = await opening;
    say({ event: "ready", by: "names" });
    load();
  } catch (error) {
    fail(error, error.facts, given.lang);
  }
}

async function answer({ id, ...request }) {
  try {
    say({ id, ...(await (await ready).request(request)) });
  } catch (error) {
    say({ id, status: 503, json: { type: "about:blank", status: 503, detail: error.key ?? error.message, code: "failed" } });
  }
}

self.addEventListener("message", ({ data }) => {
  if (data.start) start(data.start);
  else if (data.load) onPictures();
  else answer(data);
});
