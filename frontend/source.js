// Where answers come from: the HTTP API of the server that serves the page.
//
// A page without a server has another source with the same functions (local.js).

/** What the API refused, with its sentence and its code, such as "loading". */
export class Refusal extends Error {
  constructor(problem, status) {
    super(problem.detail ?? problem.title ?? String(status));
    this.status = status;
    this.problem = problem;
    this.code = problem.code ?? "";
  }
}

const KEPT_ANSWERS = 40; // so that Back is immediate

function keyOf(parameters) {
  return [...parameters].map((pair) => pair.map(encodeURIComponent).join("=")).sort().join("&");
}

/** What all sources share; each has its own request(path, {method, body, signal}). */
export class Source {
  constructor(base, language) {
    this.base = base;
    this.language = language;
    this.kept = new Map();
  }

  /** The absolute address of something that the API names. */
  address(path) {
    return path && new URL(path, this.base).href;
  }

  /** One page of the answer. `parameters` are URLSearchParams. */
  async search(parameters, { offset = 0, limit = 30, signal } = {}) {
    const asked = new URLSearchParams(parameters);
    asked.set("limit", limit);
    if (offset) asked.set("offset", offset);
    asked.set("lang", this.language);
    const key = keyOf(asked);
    const answer = this.kept.get(key) ?? (await this.request(`search?${key}`, { signal }));
    if (!answer.provisional) this.kept.set(key, answer); // else another one is on its way
    if (this.kept.size > KEPT_ANSWERS) this.kept.delete(this.kept.keys().next().value);
    return { ...answer, gifs: [...answer.gifs] };
  }

  /** Keep an answer that came with the page: {asked: its parameters, answer}. */
  keep(first) {
    if (first) this.kept.set(keyOf(new URLSearchParams(first.asked)), first.answer);
  }

  async gif(id) {
    return this.request(`gifs/${encodeURIComponent(id)}`);
  }

  async categories() {
    return (await this.request(`categories?lang=${this.language}`)).categories;
  }

  async filters() {
    return this.request("filters");
  }

  /** Embed a picture to ask with; returns its token. */
  async sendPicture(file, signal) {
    return (await this.request("pictures", { method: "POST", body: file, signal })).picture;
  }

  /** Embed one of the visitor's own pictures; returns {mine, gif}. */
  async sendMine(file, token, signal) {
    const parameters = new URLSearchParams({ name: file.name });
    if (token) parameters.set("mine", token);
    return this.request(`mine?${parameters}`, { method: "POST", body: file, signal });
  }

  forgetMine(token) {
    this.request(`mine/${encodeURIComponent(token)}`, { method: "DELETE" }).catch(() => {});
  }
}

export class HttpSource extends Source {
  async vote(vote) {
    return this.request("votes", {
      method: "POST",
      body: JSON.stringify(vote),
      headers: { "Content-Type": "application/json" },
    });
  }

  async request(path, options = {}) {
    const response = await fetch(this.address(`api/v1/${path}`), options);
    if (response.ok) return response.status === 204 ? null : response.json();
    const problem = await response.json().catch(() => ({}));
    throw new Refusal(problem, response.status);
  }
}
