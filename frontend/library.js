// The library page: numbers, what to act on, a map, all GIFs, look-alikes, charts.
//
//   mount(root, {base, frontend, lang, texts, library}) -> what ends it

import { renderCharts } from "./charts.js";
import { Duplicates } from "./duplicates.js";
import { element, fetchJson, pause, picture, Words } from "./elements.js";
import { mountGrid } from "./librarygrid.js";
import { LibraryMap } from "./map.js";
import styles from "./library.css" with { type: "css" };
import cards from "./cards.css" with { type: "css" };

const PARTS = {
  numbers: "lib_numbers", licences: "lib_licences", map: "lib_map", grid: "lib_all",
  duplicates: "lib_duplicates", charts: "lib_charts",
};
const WITHOUT_NEWS = ["licences", "charts"]; // hidden until there is something to see
const AGAIN_MS = 2000; // while the server still looks up the sizes of files

/** Draw the page into an element; the same element keeps what it has when it is mounted again. */
export function mount(parent, config) {
  const told = JSON.stringify(config);
  const known = parent.querySelector("[data-mount]");
  if (known?.told === told) return known.end;
  known?.end();
  const root = Object.assign(document.createElement("div"), { told });
  root.dataset.mount = "library";
  parent.append(root);
  const base = new URL(config.base, location.origin).href;
  const page = mountLibrary(root, { ...config, base });
  root.end = () => {
    page.destroy();
    root.remove();
  };
  return root.end;
}

export function mountLibrary(root, config) {
  const words = new Words(config);
  const stop = new AbortController();
  const parts = Object.fromEntries(Object.entries(PARTS).map(([name, title]) => [name,
    element("section", { "data-part": name, "aria-labelledby": `title-${name}`, hidden: WITHOUT_NEWS.includes(name) },
      element("h2", { id: `title-${name}` }, words.text(title)))]));
  const page = element("div", { class: "library", lang: config.lang }, ...Object.values(parts));
  const shadow = root.shadowRoot ?? root.attachShadow({ mode: "open" });
  shadow.adoptedStyleSheets = [styles, cards];
  shadow.replaceChildren(page);

  const mounted = [
    new LibraryMap(parts.map, words),
    new Duplicates(parts.duplicates, words, config.library),
    renderGrid(parts.grid, words, config),
  ];
  keepUpToDate(parts, words, stop.signal);
  return {
    parts,
    destroy() {
      stop.abort();
      for (const part of mounted) part?.destroy?.();
      shadow.replaceChildren();
    },
  };
}

function renderGrid(section, words, config) {
  const filter = element("input", { type: "search", "data-part": "filter" });
  const cards = element("div", { "data-part": "cards" });
  section.append(element("label", { class: "filter" }, words.text("lib_filter"), filter), cards);
  return mountGrid({ filter, cards, config });
}

/** Load the numbers, again while the sizes of files are still being looked up. */
async function keepUpToDate(parts, words, signal) {
  const status = element("p", { role: "status", class: "hidden" }, words.text("lib_loading"));
  renderNumbers(parts.numbers, null, words); // takes the place that the numbers will need
  parts.numbers.append(status);
  while (!signal.aborted) {
    try {
      const { answer } = await fetchJson(words, "api/v1/library", signal);
      renderNumbers(parts.numbers, answer, words);
      renderLicences(parts.licences, answer, words);
      renderCharts(parts.charts, answer.charts, words);
      if (answer.bytes !== null) return;
    } catch (error) {
      if (signal.aborted) return;
      status.className = "";
      status.textContent = words.text(error.status === 503 ? "lib_loading" : "lib_failed");
      if (error.status !== 503) return;
    }
    await pause(AGAIN_MS, signal);
  }
}

/** The numbers, or while they are loaded (`answer` is null) as much room as they need. */
function renderNumbers(section, answer, words) {
  const counting = words.text("lib_counting");
  const numbers = [
    ["gifs", answer && words.number(answer.gifs)],
    ["animated", answer && words.number(answer.animated)],
    ["frames", answer && words.number(answer.frames)],
    ["lib_size", answer && answer.bytes !== null && words.bytes(answer.bytes)],
  ];
  const list = element("dl", { class: "numbers" }, ...numbers.map(([key, value]) =>
    element("div", {}, element("dt", {}, words.text(key)), element("dd", {}, value || counting))));
  const missing = answer?.missing
    ? [element("p", { class: "warning" }, words.text("lib_missing", { n: answer.missing }))] : [];
  const address = words.address(answer?.tables.library ?? "api/v1/library.csv");
  const table = element("p", {},
    element("a", { class: "button", href: address, download: "library.csv" }, words.text("lib_table")),
    " ", element("span", { class: "small" }, words.text("lib_table_help")));
  section.replaceChildren(section.querySelector("h2"), list, ...missing, table);
}

function renderLicences(section, answer, words) {
  section.hidden = answer.unlicensed === 0;
  if (section.hidden) return;
  const shown = answer.unlicensed_gifs.map((gif) => element("li", {},
    element("a", { href: words.likeAddress(gif.id) },
      gif.still ? picture(words, gif.still) : element("span", { class: "nothing" }),
      element("span", { class: "title" }, gif.title || words.text("lib_untitled")))));
  const more = answer.unlicensed - shown.length;
  if (more > 0) shown.push(element("li", { class: "small" }, words.text("lib_licences_more", { n: more })));
  section.replaceChildren(section.querySelector("h2"),
    element("p", {}, words.text("lib_licences_help", { n: answer.unlicensed })),
    element("p", {}, element("a", { class: "button", href: words.address(answer.tables.unlicensed), download: "metadata.csv" },
      words.text("lib_licences_table"))),
    element("ul", { class: "strip" }, ...shown));
}
