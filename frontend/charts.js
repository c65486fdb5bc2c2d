// Charts as lists, which a screen reader reads: bars of values, and histograms.

import { element } from "./elements.js";

/** Show the charts that the server found worth showing. */
export function renderCharts(section, charts, words) {
  const figures = Object.entries(charts).map(([name, chart]) => element("figure", {},
    element("figcaption", {}, words.text(`chart_${name}`)),
    Array.isArray(chart) ? bars(chart, words) : histogram(chart, words)));
  section.hidden = figures.length === 0;
  section.replaceChildren(section.querySelector("h2"), element("div", { class: "charts" }, ...figures));
}

function bars(values, words) {
  const most = Math.max(...values.map((bar) => bar.count));
  return element("ol", { class: "bars" }, ...values.map(({ value, count }) => {
    const name = value === null ? words.text("lib_others") : value || words.text("lib_none");
    const bar = element("span", { class: "bar", "aria-hidden": "true" });
    bar.style.width = `${(100 * count) / most}%`;
    return element("li", {}, element("span", { class: "name", title: name }, name), " ",
      element("span", { class: "count" }, words.number(count)), bar);
  }));
}

function histogram({ edges, counts }, words) {
  const most = Math.max(...counts);
  const columns = counts.map((count, i) => {
    const from = words.short(edges[i]);
    const isLast = i === counts.length - 1;
    const range = isLast ? words.text("lib_and_more", { value: from }) : `${from}–${words.short(edges[i + 1])}`;
    const told = `${range}: ${words.number(count)}`;
    const bar = element("span", { class: "column", "aria-hidden": "true" });
    bar.style.height = `${(100 * count) / most}%`;
    return element("li", { title: told }, element("span", { class: "hidden" }, told), bar);
  });
  return element("div", {}, element("ol", { class: "histogram" }, ...columns),
    element("p", { class: "axis", "aria-hidden": "true" },
      element("span", {}, words.short(edges[0])), element("span", {}, words.short(edges[edges.length - 1]))));
}
