// Elements, texts in the visitor's language, and icons.

/** An element with properties, attributes (those with a dash, role, or href) and children. */
export function el(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "on") {
      for (const [event, handler] of Object.entries(value)) element.addEventListener(event, handler);
    } else if (name === "style") {
      Object.assign(element.style, value);
    } else if (name in element && !name.includes("-") && !["href", "role", "list", "form"].includes(name)) {
      element[name] = value;
    } else {
      element.setAttribute(name, value === true ? "" : value);
    }
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/**
 * A function that returns the text of a key with its values filled in. The texts use Python's
 * format: {name}, {name:.2f}, {name:,}, {name:.0%}.
 */
export function translator(texts) {
  return (key, values = {}) =>
    (texts[key] ?? key).replace(/\{(\w+)(?::([^}]*))?\}/g, (_, name, format = "") => {
      const value = values[name];
      if (format === ",") return Number(value).toLocaleString("en");
      const [, digits, sign] = /^\.(\d)([f%])$/.exec(format) ?? [];
      if (digits === undefined) return String(value);
      return sign === "%" ? `${(100 * value).toFixed(digits)}%` : Number(value).toFixed(digits);
    });
}

/** The text, cut to so many characters with an ellipsis. */
export function clip(text, characters = 60) {
  return text.length <= characters ? text : `${text.slice(0, characters - 1)}…`;
}

const PATHS = {
  close: "M6 6l12 12M18 6L6 18",
  download: "M12 4v11m0 0l-4-4m4 4l4-4M5 20h14",
  filter: "M4 7h10m4 0h2M4 17h2m4 0h10M14 7a2 2 0 104 0 2 2 0 10-4 0M6 17a2 2 0 104 0 2 2 0 10-4 0",
  image: "M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15.500 9a.5.5 0 101 0 .5.5 0 10-1 0",
  less: "M5 12h14",
  markdown: "M3 6h18v12H3zM6.500 15V9l2.500 3 2.500-3v6M16.500 9v6m0 0l-2-2m2 2l2-2",
  more: "M4 4h7v7H4zM13 4h7v7h-7zM4 13h7v7H4zM13 13h7v7h-7z",
  dots: "M5 12h.01M12 12h.01M19 12h.01",
  share: "M12 15V4m0 0L8 8m4-4l4 4M5 12v8h14v-8",
  star: "M12 4l2.500 5.200 5.500.8-4 4 1 5.800-5-2.800-5 2.800 1-5.800-4-4 5.500-.8z",
  upload: "M12 16V5m0 0L8 9m4-4l4 4M4 16v4h16v-4",
  why: "M12 17h.01M9.500 9.500a2.500 2.500 0 115 0c0 2-2.500 2-2.500 4M12 3a9 9 0 100 18 9 9 0 000-18",
};

/** An icon of 24 × 24, drawn in the colour of the text. */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}

/** A button that shows an icon; its label is its accessible name and its tooltip. */
export function iconButton(name, label, onClick, properties = {}) {
  return el(
    "button",
    { type: "button", className: `icon ${name}`, "aria-label": label, title: label, on: { click: onClick }, ...properties },
    icon(name),
  );
}

/** Replace children; the focus stays at its place among them, or goes to `fallback()`. */
export function redraw(element, children, fallback) {
  const controls = () => [...element.querySelectorAll("button, input, select, textarea, a[href]")].filter((control) => control.tabIndex >= 0);
  const place = controls().indexOf(element.getRootNode().activeElement);
  element.replaceChildren(...children);
  if (place < 0) return;
  const left = controls();
  const next = left[Math.min(place, left.length - 1)];
  if (next) next.focus({ preventScroll: true });
  else fallback();
}

/** The nearest element that scrolls up and down, also across shadow roots. */
export function scrollerOf(element) {
  for (let node = element; node; node = node.parentNode ?? node.host) {
    if (node instanceof Element && /auto|scroll/.test(getComputedStyle(node).overflowY)) return node;
  }
  return document.scrollingElement;
}
