// What a visitor should know of a page without a server: whose GIFs these are, which model finds
// them, how close it is to the original, and what leaves the machine. It has an address: ?about=1.

import { el, iconButton } from "./dom.js";

const PARAMETER = "about";

export class AboutPanel {
  /** `files` are addresses: about (counts, licences), model (the export's facts). */
  constructor(files) {
    this.files = files;
    this.element = el("dialog", {
      className: "about",
      id: "about",
      "aria-labelledby": "about-title",
      on: { close: () => this.onClosed(), click: (event) => event.target === this.element && this.element.close() },
    });
    // Before the picker's own listener, which lets no other one hear of it.
    addEventListener("popstate", () => this.follow(), { capture: true });
  }

  /** The page's address with the panel open. */
  get address() {
    return addressWith("1");
  }

  speak(t, language) {
    Object.assign(this, { t, language });
    if (this.element.open) this.draw();
  }

  open() {
    history.pushState({ ...history.state, reactionAbout: true }, "", this.address);
    this.follow();
  }

  /** Be open or closed as the address says. */
  follow() {
    const isAsked = new URLSearchParams(location.search).has(PARAMETER);
    if (isAsked && !this.element.open) {
      this.draw();
      this.element.showModal();
      this.element.scrollTop = 0;
    } else if (!isAsked && this.element.open) this.element.close();
  }

  onClosed() {
    if (!new URLSearchParams(location.search).has(PARAMETER)) return; // Back has closed it
    if (history.state?.reactionAbout) history.back();
    else history.replaceState(history.state, "", addressWith("")); // the visitor came by this address
  }

  async draw() {
    const { t } = this;
    const close = iconButton("close", t("close"), () => this.element.close());
    const head = el("header", {}, el("h2", { id: "about-title" }, t("site_about")), close);
    const here = el("section", {}, el("h3", {}, t("site_private")), el("p", {}, t("site_private_help", { host: location.host })));
    const rest = el("div", { className: "rest", "aria-busy": "true" });
    this.element.replaceChildren(head, here, rest);
    const [about, model] = await Promise.all([jsonAt(this.files.about), jsonAt(this.files.model)]);
    rest.setAttribute("aria-busy", "false");
    rest.replaceChildren(...(about ? this.sections(about, model) : [el("p", {}, t("site_about_failed"))]));
  }

  sections(about, model) {
    const { t } = this;
    const card = about.card && el("a", { href: about.card, rel: "noopener noreferrer" }, about.card);
    return [
      about.on_web > 0 && el("p", {}, t("site_on_web", { n: about.on_web })),
      el("section", {}, el("h3", {}, t("loaded")), ...about.loaded[this.language].map((line) => el("p", {}, line))),
      el(
        "section",
        {},
        el("h3", {}, t("site_model")),
        el("p", {}, t("site_model_license", { checkpoint: about.checkpoint, license: about.checkpoint_license || t("unknown") }), card ? " " : null, card),
        this.agreement(model?.agreement),
      ),
      el("section", {}, el("h3", {}, t("site_licenses")), el("p", {}, t("site_licenses_help")), this.licenses(about)),
      el(
        "section",
        {},
        el("h3", {}, t("site_software")),
        el("ul", {}, about.software.map(({ name, license, address }) => el("li", {}, address ? el("a", { href: address }, name) : name, `: ${license}`))),
      ),
    ].filter(Boolean);
  }

  /** How close the model in the browser is to the checkpoint that it was made from, as measured. */
  agreement(facts) {
    const known = Object.entries(facts ?? {}).filter(([name, value]) => value && this.t(`agreement_${name}`) !== `agreement_${name}`);
    if (!known.length) return null;
    const rows = known.map(([name, value]) => [el("dt", {}, this.t(`agreement_${name}`)), el("dd", {}, shown(value, this.language))]);
    return el("div", {}, el("p", {}, this.t("site_agreement")), el("dl", {}, rows));
  }

  licenses({ licenses, more }) {
    const { t } = this;
    const cells = ({ license, attribution, source, n }) => [
      license || t("unknown"),
      attribution || t("unknown"),
      /^https?:\/\//.test(source) ? el("a", { href: source, rel: "noopener noreferrer" }, source) : source || t("unknown"),
      n.toLocaleString(this.language),
    ];
    return el(
      "div",
      { className: "wide", tabIndex: 0, role: "group", "aria-label": t("site_licenses") }, // scrolls by keys
      el(
        "table",
        {},
        el("thead", {}, el("tr", {}, ["license", "attribution", "from", "gifs"].map((key) => el("th", { scope: "col" }, t(key))))),
        el("tbody", {}, licenses.map((row) => el("tr", {}, cells(row).map((cell) => el("td", {}, cell))))),
      ),
      more > 0 && el("p", {}, t("site_licenses_more", { n: more })),
    );
  }
}

function addressWith(value) {
  const address = new URL(location.href);
  if (value) address.searchParams.set(PARAMETER, value);
  else address.searchParams.delete(PARAMETER);
  return address.href;
}

function shown(value, language) {
  return typeof value === "number" ? value.toLocaleString(language, { maximumFractionDigits: 4 }) : String(value);
}

async function jsonAt(address) {
  try {
    const response = await fetch(address);
    return response.ok ? await response.json() : null;
  } catch {
    return null;
  }
}
