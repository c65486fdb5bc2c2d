// Where answers come from: the HTTP API of the server that serves the page.
//
// A page without a server has another source with the same functions.

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

export class HttpSource {
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
    if (!this.kept.has(key)) {
      const answer = await this.request(`api/v1/search?${key}`, { signal });
      this.kept.set(key, answer);
      if (this.kept.size > KEPT_ANSWERS) this.kept.delete(this.kept.keys().next().value);
    }
    const answer = this.kept.get(key);
    return { ...answer, gifs: [...answer.gifs] };
  }

  /** Keep an answer that came with the page: {asked: its parameters, answer}. */
  keep(first) {
    if (first) this.kept.set(keyOf(new URLSearchParams(first.asked)), first.answer);
  }

  async gif(id) {
    return this.request(`api/v1/gifs/${encodeURIComponent(id)}`);
  }

  async categories() {
    return (await this.request(`api/v1/categories?lang=${this.language}`)).categories;
  }

  async filters() {
    return this.request("api/v1/filters");
  }

  /** Embed a picture to ask with; returns its token. */
  async sendPicture(file, signal) {
    return (await this.request("api/v1/pictures", { method: "POST", body: file, signal })).picture;
  }

  /** Embed one of the visitor's own pictures; returns {mine, gif}. */
  async sendMine(file, token, signal) {
    const parameters = new URLSearchParams({ name: file.name });
    if (token) parameters.set("mine", token);
    return this.request(`api/v1/mine?${parameters}`, { method: "POST", body: file, signal });
  }

  forgetMine(token) {
    this.request(`api/v1/mine/${encodeURIComponent(token)}`, { method: "DELETE" }).catch(() => {});
  }

  async vote(vote) {
    return this.request("api/v1/votes", {
      method: "POST",
      body: JSON.stringify(vote),
      headers: { "Content-Type": "application/json" },
    });
  }

  async request(path, options = {}) {
    const response = await fetch(this.address(path), options);
    if (response.ok) return response.status === 204 ? null : response.json();
    const problem = await response.json().catch(() => ({}));
    throw new Refusal(problem, response.status);
  }
}
