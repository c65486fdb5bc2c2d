// Where answers come from on a page without a server: the search engine, in a worker of the page.
//
// The engine answers the HTTP API's paths with its JSON, and says how far it has loaded: first it
// answers by names, then, with the checkpoint, by meaning.

import { Refusal, Source } from "./source.js";

/** The worker. `sentence(failure)` says a failure, {text, key, values}, in the page's language. */
export class Engine extends EventTarget {
  constructor(address, start, sentence) {
    super();
    Object.assign(this, { address, start, sentence });
    this.number = 0;
    this.searching = Promise.resolve();
    this.reset();
  }

  reset() {
    this.pending = new Map();
    Object.assign(this, { names: false, meaning: false, failure: null, loaded: 0, total: 0 });
    this.byNames = new Promise((resolve) => (this.onNames = resolve));
  }

  /** Start the worker, or start it again after a failure. Fires "change" whenever it gets on. */
  run() {
    const before = this.onNames;
    this.worker?.terminate();
    this.refuseAll();
    this.reset();
    this.byNames.then(before); // who waited for the last worker goes on with this one
    this.worker = new Worker(this.address, { type: "module" });
    this.worker.addEventListener("message", ({ data }) => this.onMessage(data));
    this.worker.addEventListener("error", (event) => this.onError(event));
    this.worker.postMessage({ start: this.start });
    if (this.hasPictures) this.loadAll();
    this.change();
  }

  /** Fetch what is large, too: pictures are on the screen. */
  loadAll() {
    this.hasPictures = true;
    this.worker?.postMessage({ load: true });
  }

  change() {
    this.dispatchEvent(new Event("change"));
  }

  onMessage({ event, id, status, json, loaded, total, by, ...failure }) {
    if (id !== undefined) {
      const { resolve, reject } = this.pending.get(id) ?? {};
      this.pending.delete(id);
      if (status < 400) resolve?.(json);
      else reject?.(new Refusal(json, status));
      return;
    }
    if (event === "progress") Object.assign(this, { loaded, total });
    if (event === "failed") this.fail(failure);
    if (event === "ready") {
      this.names = true;
      this.meaning ||= by === "meaning";
      this.onNames();
    }
    this.change();
  }

  onError(event) {
    event.preventDefault();
    this.fail({ key: "site_worker_failed" });
    this.change();
  }

  /** Without names nothing can be answered: whoever waits is refused. */
  fail(failure) {
    this.failure = failure;
    if (this.names) return;
    this.onNames();
    this.refuseAll();
  }

  refuseAll() {
    for (const { reject } of this.pending.values()) reject(this.refusal());
    this.pending.clear();
  }

  refusal() {
    const detail = this.failure ? this.sentence(this.failure) : "";
    return new Refusal({ detail, code: "failed" }, 0); // no server's status, after which it is asked again
  }

  async ask(message) {
    await this.byNames;
    if (!this.names) throw this.refusal();
    return new Promise((resolve, reject) => {
      const id = (this.number += 1);
      this.pending.set(id, { resolve, reject });
      this.worker.postMessage({ ...message, id });
    });
  }

  /**
   * The same for a search: one after the other, so that the worker never has those of a message
   * that is being typed waiting, which nobody wants any more.
   */
  async askInTurn(message, signal) {
    const before = this.searching;
    let done;
    this.searching = new Promise((resolve) => (done = resolve));
    try {
      await before;
      signal?.throwIfAborted();
      return await this.ask(message);
    } finally {
      done();
    }
  }
}

/** Answers in a language; `base` is the address of the page's folder. */
export class LocalSource extends Source {
  constructor(engine, base, language) {
    super(base, language);
    this.engine = engine;
  }

  async request(path, { method, body, signal } = {}) {
    const message = { path, method, body };
    const answer = path.startsWith("search?") ? this.engine.askInTurn(message, signal) : this.engine.ask(message);
    return signal ? Promise.race([answer, aborted(signal)]) : answer;
  }
}

function aborted(signal) {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}
