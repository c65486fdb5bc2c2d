// The page without a server: the picker, with the search engine in a worker of the page.
//
// index.html holds the configuration in every language (retrieval/site/page.py).

import { AboutPanel } from "./about.js";
import { el, translator } from "./dom.js";
import { LoadingLine } from "./loading.js";
import { Engine, LocalSource } from "./local.js";
import { keepOffline, takeOffline, update } from "./offline.js";
import { Picker } from "./picker.js";

const LANGUAGE_KEY = "reaction-search-language";

class Site {
  constructor(config) {
    this.config = config;
    this.base = new URL(".", location.href).href;
    this.header = document.querySelector("header");
    this.main = document.querySelector("main");
    this.about = new AboutPanel({ about: this.address(config.about), model: this.address(config.model) });
    const start = { base: this.base, lang: this.wantedLanguage() };
    this.engine = new Engine(this.address(config.worker), start, (failure) => this.sentence(failure));
    this.line = new LoadingLine(this.engine, {
      retry: () => this.retry(),
      show: () => this.askAgain(),
      reload: () => update(),
    });
    this.main.append(this.line.element);
    document.body.append(this.about.element);
    this.speak(start.lang);
    this.engine.addEventListener("change", () => this.onChange());
    this.main.addEventListener("reaction-shown", () => this.onChange());
    this.about.follow();
    takeOffline(this.address(config.service_worker), () => this.line.outdated()).then((isKept) => {
      if (isKept) this.engine.loadAll(); // pictures have no slow connection to share with the model
      this.engine.run();
    });
  }

  address(path) {
    return new URL(path, this.base).href;
  }

  // Languages ---------------------------------------------------------------------------------

  /** The address's language, the one chosen before, or the first that the browser prefers. */
  wantedLanguage() {
    const known = Object.keys(this.config.languages);
    const asked = [new URLSearchParams(location.search).get("lang"), remembered(), ...navigator.languages.map((code) => code.split("-")[0])];
    return asked.find((code) => known.includes(code)) ?? known[0];
  }

  speak(language) {
    const config = { ...this.config.languages[language], base: this.base, pictures: this.config.pictures, frames: false };
    this.language = language;
    this.t = translator(config.texts);
    document.documentElement.lang = language;
    document.title = this.t("title");
    document.querySelector("meta[name=description]").content = this.t("sentence");
    this.drawHeader();
    this.about.speak(this.t, language);
    this.line.speak(this.t);
    const before = this.picker;
    before?.destroy();
    const source = new LocalSource(this.engine, this.base, language);
    this.picker = new Picker(config, { before, source });
    this.picker.attach(this.main);
    // A picture's events do not leave the picker's shadow tree.
    this.picker.host.shadowRoot.addEventListener("load", () => this.engine.loadAll(), { capture: true, once: true });
  }

  /** What the engine says of a failure; its own text is in the language that it started in. */
  sentence({ text, key, values }) {
    if (key in this.picker.texts) return this.t(key, values);
    return text || this.t("site_not_loaded");
  }

  choose(event, language) {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return; // a new tab
    event.preventDefault();
    history.replaceState(history.state, "", addressIn(language));
    remember(language);
    this.speak(language);
    this.header.querySelector(`[lang=${language}]`).focus();
  }

  drawHeader() {
    const { t } = this;
    const languages = Object.entries(this.config.languages).map(([code, { name }]) => {
      const link = el("a", { href: addressIn(code), lang: code, hreflang: code, on: { click: (event) => this.choose(event, code) } }, name);
      if (code === this.language) link.setAttribute("aria-current", "true");
      return link;
    });
    const about = el("a", { href: this.about.address, className: "about-link", on: { click: (event) => this.openAbout(event) } }, t("site_about"));
    this.header.replaceChildren(
      el("h1", {}, t("title")),
      el("details", {}, el("summary", {}, t("motivation_title")), el("p", {}, t("motivation"))),
      about,
      el("nav", { "aria-label": t("language") }, languages),
    );
  }

  openAbout(event) {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    this.picker.keepView();
    this.about.open();
  }

  // The engine --------------------------------------------------------------------------------

  /** Results by name give way to those by meaning, unless the visitor is using them. */
  onChange() {
    const { engine, picker } = this;
    if (picker.answer && engine.names) this.keep(engine.meaning);
    if (!engine.meaning) {
      this.owesMeaning = true;
      return;
    }
    if (!this.owesMeaning || picker.isAsking || picker.isPaused) return;
    const isProvisional = Boolean(picker.answer?.provisional);
    const isUsed = picker.dialog.isOpen || picker.grid.focused() >= 0 || picker.grid.scroller.scrollTop > 0;
    this.owesMeaning = isProvisional && isUsed;
    this.line.offer(this.owesMeaning);
    if (isProvisional && !isUsed) this.askAgain();
  }

  /** Keep the page for visits without a connection, and the model once it has been fetched. */
  keep(withModel) {
    if (this.kept === withModel) return;
    this.kept = withModel;
    keepOffline(withModel);
  }

  askAgain() {
    const { grid } = this.picker;
    this.owesMeaning = false;
    this.line.offer(false);
    this.picker.search({ view: { scroll: 0, shown: grid.gifs.length } });
  }

  retry() {
    this.engine.run();
    if (!this.picker.answer) this.picker.search();
  }
}

function addressIn(language) {
  const address = new URL(location.href);
  address.searchParams.set("lang", language);
  return address.href;
}

function remembered() {
  try {
    return localStorage.getItem(LANGUAGE_KEY);
  } catch {
    return null; // this browser keeps nothing
  }
}

function remember(language) {
  try {
    localStorage.setItem(LANGUAGE_KEY, language);
  } catch {
    // The address says it, too.
  }
}

new Site(JSON.parse(document.getElementById("reaction-config").textContent));
