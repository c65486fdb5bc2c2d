// Pictures to pixels: retrieval.encoders.preprocess on a canvas, whose resampling is the browser's own.

/**
 * {width, height, nFrames, durationMs, frames: [{index, time_ms, bitmap}]}, at most `most` frames of an
 * animation, evenly spread. Throws for what is no picture.
 */
export async function openPicture(blob, most) {
  if (globalThis.ImageDecoder && blob.type && (await ImageDecoder.isTypeSupported(blob.type))) {
    const frames = await decodeFrames(blob, most).catch((error) => console.warn(error));
    if (frames) return frames;
  }
  const bitmap = await createImageBitmap(blob);
  return { width: bitmap.width, height: bitmap.height, nFrames: 1, durationMs: 0, frames: [{ index: 0, time_ms: 0, bitmap }] };
}

async function decodeFrames(blob, most) {
  const decoder = new ImageDecoder({ data: await blob.arrayBuffer(), type: blob.type });
  try {
    await Promise.all([decoder.completed, decoder.tracks.ready]);
    const nFrames = decoder.tracks.selectedTrack.frameCount;
    const n = Math.min(most, nFrames);
    const frames = [];
    let durationMs = 0;
    for (let i = 0; i < n; i++) {
      const index = n > 1 ? Math.round((i * (nFrames - 1)) / (n - 1)) : 0;
      const { image } = await decoder.decode({ frameIndex: index });
      frames.push({ index, time_ms: Math.round(image.timestamp / 1000), bitmap: await createImageBitmap(image) });
      durationMs = nFrames > 1 ? Math.round((image.timestamp + (image.duration ?? 0)) / 1000) : 0;
      image.close();
    }
    const { width, height } = frames[0].bitmap;
    return { width, height, nFrames, durationMs, frames };
  } finally {
    decoder.close();
  }
}

/** The resized and cropped pixels, Uint8Array (height × width × 3). `settings` are Preprocess's. */
export function pixelsOf(bitmap, { size: [height, width], resize_mode, fill_color }) {
  const [newWidth, newHeight] = resized(bitmap.width, bitmap.height, width, height, resize_mode);
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = `rgb(${fill_color} ${fill_color} ${fill_color})`;
  context.fillRect(0, 0, width, height);
  context.imageSmoothingQuality = "high";
  const left = Math.round((width - newWidth) / 2), top = Math.round((height - newHeight) / 2);
  context.drawImage(bitmap, left, top, newWidth, newHeight);
  const { data } = context.getImageData(0, 0, width, height);
  const pixels = new Uint8Array(width * height * 3);
  for (let i = 0, at = 0; i < data.length; i += 4) {
    pixels[at++] = data[i];
    pixels[at++] = data[i + 1];
    pixels[at++] = data[i + 2];
  }
  return pixels;
}

/** [width, height] after open_clip's resizing, before its crop. */
function resized(width, height, toWidth, toHeight, mode) {
  if (mode === "squash") return [toWidth, toHeight];
  if (mode === "shortest" && toHeight === toWidth) {
    if (width <= height) return [toWidth, Math.floor((toWidth * height) / width)];
    return [Math.floor((toHeight * width) / height), toHeight];
  }
  const choose = mode === "longest" ? Math.max : Math.min;
  const ratio = choose(height / toHeight, width / toWidth);
  return [Math.max(1, Math.round(width / ratio)), Math.max(1, Math.round(height / ratio))];
}
