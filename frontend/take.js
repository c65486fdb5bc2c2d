// Taking a GIF: its link, its file, its Markdown, the system's share sheet.

/** Whether the page is served on the visitor's own machine, where its links lead nobody else. */
export const isLocal = /^(localhost|127(\.\d+){3}|\[::1\])$/.test(location.hostname);

/** The GIF's link: on the web where it lies there, else on this server. */
export function linkOf(gif, source) {
  return source.address(gif.file);
}

/** Markdown that shows the GIF; a film cannot be shown as an image, so it is linked. */
export function markdownOf(gif, source) {
  const title = gif.title.replace(/[\\[\]]/g, "\\$&").replace(/\s+/g, " ");
  const link = linkOf(gif, source).replace(/[()\s]/g, encodeURIComponent).replace(/\(/g, "%28").replace(/\)/g, "%29");
  return `${gif.film ? "" : "!"}[${title}](${link})`;
}

/** Copy a text; also where the page has no secure context, and so no clipboard of its own. */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement("textarea");
    const focused = deepActive();
    area.value = text;
    area.style.cssText = "position:fixed;opacity:0";
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    focused?.focus?.({ preventScroll: true });
    return done;
  }
}

function deepActive() {
  let active = document.activeElement;
  while (active?.shadowRoot?.activeElement) active = active.shadowRoot.activeElement;
  return active;
}

/** Whether this is a touch device whose share sheet takes files. */
export function sharesFiles() {
  if (!navigator.canShare || !matchMedia("(pointer: coarse)").matches) return false;
  return navigator.canShare({ files: [new File(["GIF89a"], "a.gif", { type: "image/gif" })] });
}

/** Open the share sheet with the GIF's file: "shared", "closed" by the visitor, or "impossible". */
export async function share(gif, source) {
  try {
    const response = gif.blob ? null : await fetch(linkOf(gif, source));
    if (response && !response.ok) return "impossible";
    const blob = gif.blob ?? (await response.blob());
    const file = new File([blob], gif.file_name, { type: blob.type });
    if (!navigator.canShare?.({ files: [file] })) return "impossible";
    await navigator.share({ files: [file], title: gif.title });
    return "shared";
  } catch (error) {
    return error.name === "AbortError" ? "closed" : "impossible";
  }
}

/** Save the GIF's file; one on another site opens there, as browsers do not save it. */
export function download(gif, source) {
  const link = document.createElement("a");
  link.href = gif.blob ? URL.createObjectURL(gif.blob) : linkOf(gif, source);
  link.download = gif.file_name;
  if (gif.is_web) Object.assign(link, { target: "_blank", rel: "noopener noreferrer" });
  link.click();
  if (gif.blob) setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** What a chat window takes when the picture is dragged into it: the original, not the preview. */
export function fillDrag(event, gif, source) {
  if (!gif.file) return;
  const link = linkOf(gif, source);
  event.dataTransfer.setData("text/uri-list", link);
  event.dataTransfer.setData("text/plain", link);
}
