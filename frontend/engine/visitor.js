// What a visitor gives: a picture to ask with, their own pictures to rank. All of it stays here, in
// the worker's memory.

import { Catalog } from "./catalog.js";
import { Collection } from "./collection.js";
import { Refusal } from "./refusal.js";
import { Rows, dot, unit } from "./arrays.js";
import { single } from "./answers.js";

const SUFFIX = /\.\w+$/;

/** Own pictures as a collection: what is known of each is one of `files`. */
class OwnPictures extends Collection {
  constructor(files, dim) {
    const column = (of) => files.map(of);
    const empty = { values: [""], of: column(() => [0]) };
    super(
      new Catalog(
        {
          id: column((file) => file.id),
          title: column((file) => file.name),
          name: column((file) => file.name),
          emoji: column(() => ""),
          width: column((file) => file.width),
          height: column((file) => file.height),
          n_frames: column((file) => file.nFrames),
          duration_ms: column((file) => file.durationMs),
          group: column((_, number) => number),
          suffix: column((file) => file.name.match(SUFFIX)?.[0].toLowerCase() ?? ""),
          bytes: column(() => null),
          web: column(() => null),
          file_name: column((file) => file.name),
          frame: column((file) => file.frames[0].index),
          time_ms: column((file) => file.frames[0].time_ms),
          texts: {},
          tags: { values: [], of: column(() => []) },
          license: { values: ["unknown"], of: column(() => [0]) },
          source: empty,
          attribution: empty,
          web_sources: [],
        },
        true,
      ),
      dim,
    );
    this.files = files;
    this.frames = Rows.of(column((file) => meanOf(file.frames)), dim);
  }

  framesOf(gif, vector) {
    return this.files[gif].frames.map(({ index, time_ms, vector: frame }) => ({ index, time_ms, score: dot(frame, vector) }));
  }

  /** Words read in pictures and other names than the file's are not known of them. */
  containing(phrase) {
    const wanted = phrase.toLowerCase();
    return this.files.map((_, number) => number).filter((number) => this.files[number].name.toLowerCase().includes(wanted));
  }
}

function meanOf(frames) {
  const sum = new Float32Array(frames[0].vector.length);
  for (const { vector } of frames) for (let i = 0; i < sum.length; i++) sum[i] += vector[i];
  return unit(sum);
}

export class Visitor {
  constructor(facts) {
    this.facts = facts;
    this.pictures = new Map(); // token → unit vector
    this.collections = new Map(); // token → OwnPictures
  }

  picture(token) {
    if (!this.pictures.has(token)) throw new Refusal(410, "engine_picture_gone", {}, "picture_gone");
    return this.pictures.get(token);
  }

  own(token) {
    if (!this.collections.has(token)) throw new Refusal(410, "engine_mine_gone", {}, "mine_gone");
    return this.collections.get(token);
  }

  /** Embed a picture to ask with; returns its token. */
  async addPicture(blob, encoder) {
    const { picture_bytes } = this.facts.constants;
    const { frames } = await this.read(blob, "", encoder, picture_bytes);
    const picture = crypto.randomUUID();
    this.pictures.set(picture, meanOf(frames));
    return { picture };
  }

  /** Embed one more of the visitor's own pictures; returns {mine, gif}. */
  async addOwn(parameters, blob, encoder) {
    const { facts } = this;
    const { name_chars, max_files, max_total_mb, upload_bytes } = facts.constants;
    const name = (parameters.get("name") ?? "").split(/[\\/]/).pop().slice(0, name_chars) || "picture";
    const files = () => (token ? this.own(token).files : []);
    let token = parameters.get("mine") ?? "";
    if (files().length >= max_files) throw new Refusal(413, "engine_many_files", { n: files().length + 1, most: max_files }, "too_large");
    const bytes = files().reduce((sum, file) => sum + file.bytes, blob.size);
    if (bytes > max_total_mb * 1e6) throw new Refusal(413, "engine_much_data", { mb: Math.round(bytes / 1e6), most: max_total_mb }, "too_large");
    const file = { name, ...(await this.read(blob, name, encoder, upload_bytes)), bytes: blob.size };
    if (files().some((other) => other.id === file.id)) throw new Refusal(409, "engine_same_bytes", { name }, "same_bytes");
    const all = [...files(), file]; // others may have come meanwhile
    token ||= crypto.randomUUID();
    const { dim } = facts;
    this.collections.set(token, new OwnPictures(all, dim));
    return { mine: token, gif: single(0, { collection: new OwnPictures([file], dim), facts }) };
  }

  /** What is known of a picture; without a name the refusal says "the picture". */
  async read(blob, name, encoder, most) {
    const key = (kind) => (name ? `engine_${kind}_file` : `engine_${kind}_picture`);
    if (blob.size > most) throw new Refusal(413, key("large"), { name, mb: Math.round(most / 1e6) }, "too_large");
    try {
      return await encoder.encodePicture(blob, this.facts.constants.frames_per_picture);
    } catch (error) {
      if (error instanceof Refusal) throw error;
      console.warn(error);
      throw new Refusal(422, key("unread"), { name });
    }
  }

  forget(token) {
    this.collections.delete(token);
    return null;
  }
}
