// What the engine refuses, as the server's API does: a status, a sentence, a code for programs.

export class Refusal extends Error {
  /** `key` is of the texts, `values` are filled into it. */
  constructor(status, key, values = {}, code = "") {
    super(key);
    this.status = status;
    this.key = key;
    this.values = values;
    this.code = code;
  }
}

export function wrong(name, value) {
  return new Refusal(422, "engine_parameter", { name, value: String(value).slice(0, 60) }, "parameter");
}
