// The map of the library: GIFs as small pictures at their places, which never overlap.
//
// Points snap to cells; who finds no free cell nearby appears when one zooms in. The wheel is
// not taken: it scrolls the page. One tile is in the order of the Tab key, arrow keys move on.

import { element, fetchJson, pause, picture, stillsOnly } from "./elements.js";

const REACH = 2; // cells that a point may be moved to find room
const ZOOMS = [1, 2, 4];
const GAP = 2; // px between tiles
const SIDE = 44; // px of a tile
const SIDE_NARROW = 30; // where the map is narrower than NARROW
const NARROW = 600;
const DRAG = 6; // px after which a press is a drag and no click
const LENS = 196; // px, width of the enlarged picture
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const ZOOM_KEYS = { "+": 1, "=": 1, "-": -1, 0: -ZOOMS.length };

/** Cells of points: [{point, left, top}], no two of which overlap. Lengths in px. */
export function placeTiles(points, width, height, side) {
  const columns = Math.max(1, Math.floor(width / (side + GAP)));
  const rows = Math.max(1, Math.floor(height / (side + GAP)));
  const taken = new Set();
  const placed = [];
  for (const point of points) {
    const column = Math.min(columns - 1, Math.floor(point.x * columns));
    const row = Math.min(rows - 1, Math.floor(point.y * rows));
    const free = nearestFree(column, row, columns, rows, taken);
    if (free === null) continue;
    taken.add(free[1] * columns + free[0]);
    placed.push({ point, left: free[0] * (width / columns), top: free[1] * (height / rows) });
  }
  return placed;
}

function nearestFree(column, row, columns, rows, taken) {
  for (let reach = 0; reach <= REACH; reach += 1) {
    for (let dy = -reach; dy <= reach; dy += 1) {
      for (let dx = -reach; dx <= reach; dx += 1) {
        if (Math.max(Math.abs(dx), Math.abs(dy)) !== reach) continue;
        const [x, y] = [column + dx, row + dy];
        const inside = x >= 0 && y >= 0 && x < columns && y < rows;
        if (inside && !taken.has(y * columns + x)) return [x, y];
      }
    }
  }
  return null;
}

/** The tile to move to from `from` in a direction [dx, dy]; null if there is none. */
export function neighbour(tiles, from, [dx, dy]) {
  let best = null;
  let least = Infinity;
  for (const tile of tiles) {
    const along = (tile.left - from.left) * dx + (tile.top - from.top) * dy;
    if (along <= 0.5) continue;
    const aside = Math.abs((tile.left - from.left) * dy) + Math.abs((tile.top - from.top) * dx);
    const cost = along + 2 * aside;
    if (cost < least) [best, least] = [tile, cost];
  }
  return best;
}

export class LibraryMap {
  constructor(section, words) {
    Object.assign(this, { words, zoom: 0, left: 0, top: 0, tiles: [], data: null, current: null });
    this._links = new Map(); // GIF id → its tile
    this._stop = new AbortController();
    this._status = element("p", { class: "status", role: "status" }, words.text("lib_map_making"));
    this._plane = element("div", { class: "plane" });
    this._lens = element("div", { class: "lens", "aria-hidden": "true", hidden: true });
    this._view = element("div", { class: "map", role: "group", "aria-label": words.text("lib_map") }, this._plane, this._lens);
    this._buttons = [["lib_zoom_in", 1], ["lib_zoom_out", -1], ["lib_zoom_all", -ZOOMS.length]].map(([key, by]) =>
      element("button", { type: "button", disabled: true, onclick: () => this.zoomBy(by) }, words.text(key)));
    this._help = element("p", {}, words.text("lib_map_help"));
    section.append(this._help, element("div", { class: "row" }, ...this._buttons, this._status), this._view);
    this._listen();
    this._load();
  }

  destroy() {
    this._stop.abort();
    this._resized.disconnect();
  }

  async _load() {
    const { signal } = this._stop;
    while (!signal.aborted) {
      try {
        const { answer, pending } = await fetchJson(this.words, `api/v1/map?lang=${this.words.lang}`, signal);
        if (!pending) this.show(answer);
        if (!pending && answer.final) return;
      } catch (error) {
        if (signal.aborted) return;
        this._status.textContent = this.words.text(error.status === 503 ? "lib_loading" : "lib_failed");
        if (error.status !== 503) return;
      }
      await pause(1000, signal);
    }
  }

  show(data) {
    const same = this.data && this.data.points.length === data.points.length && this.data.final === data.final;
    this.data = data;
    if (!data.clusters.some((cluster) => cluster.reaction)) {
      this._help.textContent = this.words.text("lib_map_help_words");
    }
    if (!same) this.draw();
  }

  draw() {
    if (!this.data) return;
    const { width, height } = this._size();
    if (!width) return;
    const scale = ZOOMS[this.zoom];
    this.side = width < NARROW ? SIDE_NARROW : SIDE;
    this.tiles = placeTiles(this.data.points, width * scale, height * scale, this.side);
    this._pan(0, 0);
    const kept = new Set(this.tiles.map((tile) => tile.point.id));
    for (const [id, link] of this._links) {
      if (!kept.has(id)) { link.remove(); this._links.delete(id); }
    }
    for (const tile of this.tiles) {
      const link = this._links.get(tile.point.id) ?? this._link(tile.point);
      link.tile = tile;
      tile.link = link;
      link.style.width = link.style.height = `${this.side}px`;
      link.style.transform = `translate(${tile.left}px, ${tile.top}px)`;
    }
    if (!this.current?.isConnected && this.tiles.length) this._makeCurrent(this.tiles[0].link);
    this._drawLabels(width * scale, height * scale);
    this._tell();
  }

  _link(point) {
    const title = point.title || this.words.text("lib_untitled");
    const cluster = this.data.clusters[point.cluster]?.name;
    const label = cluster ? this.words.text("lib_in_cluster", { title, cluster }) : title;
    const content = point.still
      ? picture(this.words, point.still)
      : element("span", { "aria-hidden": "true" }, [...title].slice(0, 2).join(""));
    const link = element("a", {
      href: this.words.likeAddress(point.id), class: "tile", tabindex: "-1", draggable: "false", "aria-label": label,
    }, content);
    this._links.set(point.id, link);
    this._plane.append(link);
    return link;
  }

  /** Names of clusters, the largest first; one that would cover another waits for more room. */
  _drawLabels(width, height) {
    this._plane.querySelectorAll(".label").forEach((label) => label.remove());
    const named = this.data.clusters.filter((cluster) => cluster.name).sort((a, b) => b.gifs - a.gifs);
    const labels = named.map((cluster) => element("span", { class: "label", "aria-hidden": "true" }, cluster.name));
    this._plane.append(...labels);
    const sizes = labels.map((label) => [label.offsetWidth, label.offsetHeight]); // one layout for all
    const boxes = [];
    named.forEach((cluster, i) => {
      const [w, h] = sizes[i];
      const left = Math.max(0, Math.min(width - w, cluster.x * width - w / 2));
      const top = Math.max(0, Math.min(height - h, cluster.y * height - h / 2));
      if (boxes.some((b) => left < b.right + 4 && b.left < left + w + 4 && top < b.bottom + 4 && b.top < top + h + 4)) {
        labels[i].remove();
        return;
      }
      labels[i].style.transform = `translate(${left}px, ${top}px)`;
      boxes.push({ left, top, right: left + w, bottom: top + h });
    });
  }

  _tell() {
    const values = { shown: this.tiles.length, gifs: this.data.gifs };
    this._status.textContent = this.words.text(this.data.final ? "lib_map_shown" : "lib_map_first", values);
    this._buttons[0].disabled = this.zoom === ZOOMS.length - 1;
    this._buttons[1].disabled = this._buttons[2].disabled = this.zoom === 0;
    this._view.classList.toggle("zoomed", this.zoom > 0);
  }

  zoomBy(steps) {
    const before = ZOOMS[this.zoom];
    this.zoom = Math.max(0, Math.min(ZOOMS.length - 1, this.zoom + steps));
    const factor = ZOOMS[this.zoom] / before;
    const { width, height } = this._size();
    // What was in the middle stays there.
    this.left = (this.left + width / 2) * factor - width / 2;
    this.top = (this.top + height / 2) * factor - height / 2;
    this._hideLens();
    this.draw();
  }

  _size() {
    return { width: this._view.clientWidth, height: this._view.clientHeight };
  }

  _pan(dx, dy) {
    const { width, height } = this._size();
    const most = ZOOMS[this.zoom] - 1;
    this.left = Math.max(0, Math.min(width * most, this.left + dx));
    this.top = Math.max(0, Math.min(height * most, this.top + dy));
    this._plane.style.transform = `translate(${-this.left}px, ${-this.top}px)`;
  }

  _makeCurrent(link) {
    this.current?.setAttribute("tabindex", "-1");
    this.current = link;
    link.setAttribute("tabindex", "0");
  }

  _listen() {
    const view = this._view;
    const tileOf = (event) => event.target.closest?.(".tile");
    view.addEventListener("keydown", (event) => this._key(event));
    view.addEventListener("focusin", (event) => {
      const link = tileOf(event);
      if (!link) return;
      this._makeCurrent(link);
      this._bringIntoView(link.tile);
      this._showLens(link);
    });
    view.addEventListener("focusout", () => this._hideLens());
    view.addEventListener("pointerover", (event) => {
      const link = tileOf(event);
      if (link && event.pointerType !== "touch") this._showLens(link);
    });
    view.addEventListener("pointerleave", () => this._hideLens());
    view.addEventListener("scroll", () => view.scrollTo(0, 0)); // a focused tile must not scroll it
    this._listenForDrags(view);
    this._resized = new ResizeObserver(() => this.draw());
    this._resized.observe(view);
  }

  _key(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === "Escape") this._hideLens();
    else if (event.key in ZOOM_KEYS) this.zoomBy(ZOOM_KEYS[event.key]);
    else if (event.key in ARROWS && this.current) {
      event.preventDefault();
      const next = neighbour(this.tiles, this.current.tile, ARROWS[event.key]);
      next?.link.focus({ preventScroll: true });
      next?.link.scrollIntoView({ block: "nearest" });
    }
  }

  _bringIntoView(tile) {
    const { width, height } = this._size();
    const over = (start, size) => Math.min(0, start) || Math.max(0, start + this.side - size);
    this._pan(over(tile.left - this.left, width), over(tile.top - this.top, height));
  }

  _listenForDrags(view) {
    let from = null;
    let dragged = false;
    view.addEventListener("pointerdown", (event) => {
      dragged = false;
      from = this.zoom > 0 && event.button === 0 ? [event.clientX, event.clientY] : null;
    });
    view.addEventListener("pointermove", (event) => {
      if (!from) return;
      const [dx, dy] = [from[0] - event.clientX, from[1] - event.clientY];
      if (!dragged && Math.hypot(dx, dy) < DRAG) return;
      if (!dragged) view.setPointerCapture(event.pointerId);
      dragged = true;
      this._hideLens();
      from = [event.clientX, event.clientY];
      this._pan(dx, dy);
    });
    for (const name of ["pointerup", "pointercancel"]) view.addEventListener(name, () => { from = null; });
    view.addEventListener("click", (event) => { if (dragged) event.preventDefault(); }, true);
  }

  /** The picture enlarged with its title, inside of the map. */
  _showLens(link) {
    const { point, left, top } = link.tile;
    const path = stillsOnly() ? point.still : point.preview ?? point.still;
    const title = element("p", {}, point.title || this.words.text("lib_untitled"));
    this._lens.replaceChildren(...(path ? [picture(this.words, path, { loading: "eager" })] : []), title);
    this._lens.hidden = false;
    const { width, height } = this._size();
    const wide = Math.min(LENS, width);
    this._lens.style.width = `${wide}px`;
    const x = left - this.left;
    const y = top - this.top;
    const tall = this._lens.offsetHeight;
    const right = x + this.side + 8;
    this._lens.style.left = `${right + wide <= width ? right : Math.max(0, x - wide - 8)}px`;
    this._lens.style.top = `${Math.max(0, Math.min(height - tall, y + this.side / 2 - tall / 2))}px`;
  }

  _hideLens() {
    this._lens.hidden = true;
    this._lens.replaceChildren();
  }
}
