// The search page: the picker as its Streamlit component, and on the screen before Streamlit is.
//
// Streamlit's own start takes a second and more. The server writes the picker's configuration into
// the page (retrieval/web/frontend.py); with it the picker starts on a layer over the page, and
// moves, as it is, into its place among Streamlit's elements once that is there.

import { Picker } from "./picker.js";

const LAYER =
  "position:fixed; inset:0; z-index:999980; overflow:auto; padding:52px 16px 24px; color-scheme:light dark; background:light-dark(#fff, #0e1117)";

let picker = null; // one in a tab: it stays while the visitor goes to another page and back
let layer = null;
let latest = 0; // Streamlit mounts again before it ends the mount before

/** Put the picker into the component's element; returns what takes it out again. */
export function mount(parent, config) {
  const own = (latest += 1);
  document.documentElement.lang = config.lang;
  const header = document.querySelector(".stAppHeader")?.offsetHeight ?? 0;
  pickerOf(config).attach(parent, header);
  layer?.remove();
  return () => {
    if (own === latest) picker.detach();
  };
}

/** The picker; a new one if its language or the served version has changed. */
function pickerOf(config) {
  const key = `${config.lang} ${config.frontend}`;
  if (picker?.key === key) return picker;
  const before = picker;
  before?.destroy();
  picker = Object.assign(new Picker(config, { before }), { key });
  return picker;
}

function startEarly() {
  const element = document.getElementById("reaction-config");
  if (!element) return;
  const config = JSON.parse(element.textContent);
  document.documentElement.lang = config.lang;
  layer = document.createElement("div");
  layer.style.cssText = LAYER;
  layer.setAttribute("role", "main"); // Streamlit's own is not there yet
  document.documentElement.append(layer);
  pickerOf(config).attach(layer);
}

startEarly();
