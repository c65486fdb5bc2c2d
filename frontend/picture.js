// A GIF's moving picture or its still, as an element.

import { el } from "./dom.js";

/** Whether this visitor's system asks for less motion. */
export const reducedMotion = matchMedia("(prefers-reduced-motion: reduce)");

/**
 * The GIF as <img> or, for a visitor's own film, <video>. `size` is "preview" (a card) or "thumb".
 * With `moving` false it shows one frame; `setMoving` changes that.
 */
export function picture(gif, source, { size = "preview", moving = true, alt = gif.title, eager = false } = {}) {
  if (gif.film && (gif.blob || gif.is_web)) return film(gif, source, moving);
  const image = el("img", { alt, decoding: "async", loading: eager ? "eager" : "lazy", draggable: true });
  image.setMoving = (isMoving) => {
    const still = gif.is_web ? null : stillOf(gif, size);
    const address = gif.blob ? blobAddress(gif) : source.address((!isMoving && still) || gif[size] || gif.file);
    const frozen = image.frozen;
    if (image.src !== address) image.src = address;
    if (!isMoving && !still && gif.animated) freeze(image);
    else if (frozen) {
      frozen.remove();
      image.frozen = null;
      image.hidden = false;
    }
  };
  image.setMoving(moving);
  return image;
}

/** Stills move while the element around them is pointed at or has the focus. */
export function movesWhenPointed(element, shown, page) {
  for (const event of ["pointerenter", "focusin"]) element.addEventListener(event, () => shown.setMoving(true));
  for (const event of ["pointerleave", "focusout"]) element.addEventListener(event, () => shown.setMoving(page.isMoving()));
}

// The still of a card, or its small sister for a thumbnail.
function stillOf(gif, size) {
  return size === "thumb" ? gif.still?.replace(/\/\d+\.webp(?=\?|$)/, "/100.webp") : gif.still;
}

// A film that this server has no rendition of: the visitor's own, or one on another site.
function film(gif, source, moving) {
  const address = gif.blob ? blobAddress(gif) : source.address(gif.file);
  const video = el("video", { src: address, muted: true, loop: true, playsInline: true, preload: "auto" });
  video.setAttribute("aria-label", gif.title);
  video.setMoving = (isMoving) => (isMoving ? video.play().catch(() => {}) : video.pause());
  video.setMoving(moving);
  return video;
}

/** The address of a visitor's own file, which only this page can open. */
export function blobAddress(gif) {
  gif.blobUrl ??= URL.createObjectURL(gif.blob);
  return gif.blobUrl;
}

// A GIF of another site or of the visitor has no still: its first frame is drawn instead.
async function freeze(image) {
  if (image.frozen) return;
  const canvas = (image.frozen = el("canvas", { role: "img", "aria-label": image.alt }));
  image.loading = "eager";
  await image.decode().catch(() => {});
  if (image.frozen !== canvas || !image.naturalWidth) return;
  canvas.width = image.naturalWidth;
  canvas.height = image.naturalHeight;
  canvas.getContext("2d").drawImage(image, 0, 0);
  image.hidden = true;
  image.after(canvas);
}
