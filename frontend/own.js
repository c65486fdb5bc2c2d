// The visitor's own files: a picture to ask with, and pictures to rank instead of the library.

import { blobAddress } from "./picture.js";

/** A visitor's file as a GIF of the grid: shown from the browser's own memory. */
export function ownGif(file, facts = {}) {
  return {
    id: `own-${file.name}-${file.size}-${file.lastModified}`,
    width: 4,
    height: 3,
    alike: [],
    tags: [],
    frames: [],
    animated: true,
    ...facts,
    title: file.name,
    file_name: file.name,
    film: file.type.startsWith("video/"),
    blob: file,
    file: null,
    preview: null,
    thumb: null,
    still: null,
  };
}

/** Find a picture's size before it is laid out. */
export async function measure(gif) {
  try {
    if (gif.film) {
      const video = document.createElement("video");
      video.src = blobAddress(gif);
      await new Promise((done, failed) => Object.assign(video, { onloadedmetadata: done, onerror: failed }));
      return { ...gif, width: video.videoWidth, height: video.videoHeight };
    }
    const image = new Image();
    image.src = blobAddress(gif);
    await image.decode();
    return { ...gif, width: image.naturalWidth, height: image.naturalHeight };
  } catch {
    return gif; // this browser cannot show it; the server may still say what it is
  }
}

/** Pictures that are ranked instead of the library; `progress()` is called after each is read. */
export class OwnPictures {
  constructor(source) {
    this.source = source;
    this.progress = () => {};
    this.reset();
  }

  /** Forget them all, and stop reading. */
  reset() {
    this.controller?.abort();
    this.controller = new AbortController();
    if (this.token) this.source.forgetMine(this.token);
    Object.assign(this, { files: [], waiting: [], gifs: new Map(), unread: [], token: "", done: 0, isReading: false, shown: null });
  }

  /** Show these files as well, and read them one after the other. */
  async add(files) {
    const { signal } = this.controller;
    this.files = [...this.files, ...files];
    this.waiting.push(...files);
    const measured = await Promise.all(files.map((file) => measure(ownGif(file))));
    if (signal.aborted) return;
    this.shown = [...(this.shown ?? []), ...measured];
    if (this.isReading) return this.progress(); // the reading that is under way goes on with them
    this.isReading = true;
    this.progress();
    while (this.waiting.length) {
      const file = this.waiting.shift();
      try {
        const { mine, gif } = await this.source.sendMine(file, this.token, signal);
        if (signal.aborted) return;
        this.token = mine;
        this.gifs.set(gif.id, ownGif(file, gif));
      } catch (error) {
        if (signal.aborted) return;
        this.unread.push({ name: file.name, error });
      }
      this.done += 1;
      if (this.waiting.length) this.progress();
    }
    this.isReading = false;
    this.progress();
  }

  /** A result of the server with the visitor's file in it. */
  withFile(gif) {
    const own = this.gifs.get(gif.id);
    return own ? { ...gif, ...own, score: gif.score, rank: gif.rank, frames: gif.frames, shares: gif.shares, alike: gif.alike, best_frame: gif.best_frame, best_frame_ms: gif.best_frame_ms } : gif;
  }
}

/** Files of a paste or a drop that are pictures or films. */
export function mediaFiles(transfer) {
  return [...(transfer?.files ?? [])].filter((file) => /^(image|video)\//.test(file.type));
}
