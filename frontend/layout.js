// Masonry: where each card stands. Pure arithmetic, no elements.

export const GAP = 8;
const WIDEST = 220; // pixels of a card on a desktop
const NARROWEST = 180;
const TALLEST = 1.6; // times its width; what is taller is shown whole, on a plate

/** The number of columns and their width for a grid of this width, in pixels. */
export function columnsOf(width) {
  if (width < 2 * NARROWEST + GAP + 60) return spread(width, 2);
  return spread(width, Math.max(2, Math.ceil((width + GAP) / (WIDEST + GAP))));
}

function spread(width, n) {
  return { n, width: (width - (n - 1) * GAP) / n };
}

/** The cards of a grid in their places; each goes below the shortest column. */
export class Masonry {
  constructor(width) {
    const columns = columnsOf(width);
    this.cardWidth = columns.width;
    this.ends = new Array(columns.n).fill(0); // where each column ends
    this.boxes = []; // {x, y, height}, all cards cardWidth wide
  }

  /** Place the next card; `aspect` is width / height. */
  add(aspect) {
    const column = this.ends.indexOf(Math.min(...this.ends));
    const height = Math.round(this.cardWidth * Math.min(TALLEST, 1 / (aspect || 1)));
    const box = { x: Math.round(column * (this.cardWidth + GAP)), y: this.ends[column], height };
    this.ends[column] += height + GAP;
    this.boxes.push(box);
    return box;
  }

  get height() {
    return Math.max(0, ...this.ends) - (this.boxes.length ? GAP : 0);
  }

  /** The numbers of the cards that touch the pixels from `top` to `bottom`. */
  within(top, bottom) {
    const found = [];
    this.boxes.forEach((box, number) => {
      if (box.y < bottom && box.y + box.height > top) found.push(number);
    });
    return found;
  }

  /** The card next to this one in a direction ("ArrowLeft", …); itself if there is none. */
  neighbour(number, key) {
    const own = this.boxes[number];
    const middle = (box) => [box.x + this.cardWidth / 2, box.y + box.height / 2];
    const [x, y] = middle(own);
    let best = number;
    let least = Infinity;
    this.boxes.forEach((box, other) => {
      const [dx, dy] = [middle(box)[0] - x, middle(box)[1] - y];
      const isSide = key === "ArrowLeft" || key === "ArrowRight";
      const along = { ArrowLeft: -dx, ArrowRight: dx, ArrowUp: -dy, ArrowDown: dy }[key];
      const inColumn = Math.abs(dx) < 1;
      if (along <= 1 || (isSide ? inColumn : !inColumn)) return;
      const distance = along + 2 * Math.abs(isSide ? dy : dx);
      if (distance < least) [best, least] = [other, distance];
    });
    return best;
  }
}
