// Files of the site: fetched with progress in bytes, compared with the sizes and hashes that are known.

import { Refusal } from "./refusal.js";

const KEPT_HASH = "x-sha256"; // header of a kept file

export class Files {
  /** `onProgress(loaded, total)` in bytes, of the files that `expect` announced. */
  constructor(base, onProgress = () => {}) {
    this.base = base;
    this.onProgress = onProgress;
    this.loaded = 0;
    this.total = 0;
  }

  /** Count a file's bytes in the total before it is fetched. */
  expect(...known) {
    for (const { bytes } of known) this.total += bytes ?? 0;
  }

  count(nBytes) {
    this.loaded += nBytes;
    this.onProgress(this.loaded, Math.max(this.total, this.loaded));
  }

  address(path) {
    return new URL(path, this.base).href;
  }

  async json(path, known) {
    const bytes = await this.bytes(path, known);
    try {
      return JSON.parse(new TextDecoder().decode(bytes));
    } catch {
      throw damaged(path);
    }
  }

  /** The file as an ArrayBuffer. `known` is {bytes, sha256}, or undefined: it is as it is. */
  async bytes(path, known = undefined, isCounted = false) {
    const kept = await this.kept(path, known);
    if (kept) {
      if (isCounted) this.count(kept.byteLength);
      return kept;
    }
    // The hash in the address keeps a browser from mixing files of two versions of a site.
    const version = known?.sha256 ? `?v=${known.sha256.slice(0, 12)}` : "";
    const file = nameOf(path);
    let response;
    try {
      response = await fetch(this.address(path) + version);
    } catch {
      throw new Refusal(503, "engine_lost", { file }, "failed");
    }
    if (!response.ok) throw new Refusal(503, "engine_missing", { file, status: response.status }, "failed");
    const bytes = await this.read(response, file, isCounted);
    if (known && !(await isSame(bytes, known))) throw damaged(path);
    return bytes;
  }

  /** What the service worker (sw.js) has kept of the file, and checked then: at once, and not through it. */
  async kept(path, { sha256 } = {}) {
    if (!sha256) return null;
    try {
      const response = await caches.match(this.address(path), { ignoreSearch: true });
      return response?.headers.get(KEPT_HASH) === sha256 ? await response.arrayBuffer() : null;
    } catch {
      return null; // this browser keeps nothing
    }
  }

  async read(response, file, isCounted) {
    const parts = [];
    let size = 0;
    const reader = response.body.getReader();
    for (;;) {
      const { done, value } = await reader.read().catch(() => {
        throw new Refusal(503, "engine_lost", { file }, "failed");
      });
      if (done) break;
      parts.push(value);
      size += value.length;
      if (isCounted) this.count(value.length);
    }
    const all = new Uint8Array(size);
    let at = 0;
    for (const part of parts) {
      all.set(part, at);
      at += part.length;
    }
    return all.buffer;
  }
}

function nameOf(path) {
  return path.split("/").pop();
}

function damaged(path) {
  return new Refusal(503, "engine_damaged", { file: nameOf(path) }, "failed");
}

async function isSame(buffer, { bytes, sha256 }) {
  if (bytes !== undefined && buffer.byteLength !== bytes) return false;
  if (!sha256 || !globalThis.crypto?.subtle) return true; // a page on http:// has no hashes
  return (await hashOf(buffer)) === sha256;
}

/** SHA-256 in hexadecimal digits. */
export async function hashOf(buffer) {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", buffer));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
