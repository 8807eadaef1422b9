// The hidden units, the ones whose tanh varies most first, each with a line of its values.

import { diverging } from "./colours.js";
import { brief, el } from "./dom.js";

const MOST = 32; // units in the list
const WIDTH = 132,
  HEIGHT = 26; // of a line
const SETTLED = 80; // items from which on the chosen unit stays, although another one may vary more

export class UnitList {
  constructor(changed) {
    Object.assign(this, { changed, unit: null, own: false });
    this.element = el("div", { class: "unit-list", role: "radiogroup", "aria-label": "Hidden unit" });
  }

  /** Forgets the units: the chosen one becomes the one that varies most. */
  reset() {
    Object.assign(this, { unit: null, own: false });
    this.element.replaceChildren();
  }

  /** Lists the units by how much they vary over some items. */
  order(items) {
    const states = items.map((item) => item.values).filter(Boolean);
    if (states.length < 2) return;
    const spread = spreads(states);
    const ranked = Array.from(spread, (_, unit) => unit).sort((a, b) => spread[b] - spread[a]);
    const before = this.unit;
    if (before === null || (!this.own && states.length < SETTLED)) [this.unit] = ranked;
    const focused = this.element.contains(document.activeElement) && document.activeElement.tagName === "INPUT";
    const shown = ranked.slice(0, MOST);
    if (!shown.includes(this.unit)) shown[MOST - 1] = this.unit;
    const scroll = this.element.scrollTop;
    this.element.replaceChildren(...shown.map((unit) => this.entry(unit, spread[unit], states)));
    this.element.scrollTop = scroll;
    if (focused) this.element.querySelector("input:checked")?.focus({ preventScroll: true });
    if (before !== this.unit) this.changed(this.unit);
  }

  entry(unit, spread, states) {
    const canvas = el("canvas", { width: WIDTH * 2, height: HEIGHT * 2, "aria-hidden": "true" });
    sparkline(
      canvas,
      states.slice(-WIDTH * 2).map((state) => state[unit]),
    );
    return el(
      "label",
      { class: "unit" },
      el("input", {
        type: "radio",
        name: "unit",
        value: unit,
        checked: unit === this.unit,
        change: () => {
          Object.assign(this, { unit, own: true });
          this.changed(unit);
        },
      }),
      el("span", { class: "number" }, String(unit)),
      canvas,
      el("span", { class: "spread", title: "standard deviation" }, `\u00b1${brief(spread, 2)}`),
    );
  }
}

/** The standard deviation of each unit. */
function spreads(states) {
  const size = states[0].length,
    sums = new Float64Array(size),
    squares = new Float64Array(size);
  for (const state of states)
    for (let unit = 0; unit < size; unit++) {
      sums[unit] += state[unit];
      squares[unit] += state[unit] ** 2;
    }
  return sums.map((sum, unit) => Math.sqrt(Math.max(0, squares[unit] / states.length - (sum / states.length) ** 2)));
}

/** Draws values as bars above and below the middle, in their colours. */
function sparkline(canvas, values) {
  const pen = canvas.getContext("2d"),
    middle = canvas.height / 2;
  const limit = values.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-9);
  const left = (i) => Math.round((i * canvas.width) / Math.max(values.length, 60)); // whole pixels, without a pattern
  values.forEach((value, i) => {
    const high = (value / limit) * (middle - 2);
    pen.fillStyle = diverging(Math.sign(value) * (0.35 + 0.65 * Math.abs(value / limit)));
    pen.fillRect(left(i), middle - Math.max(0, high), left(i + 1) - left(i), Math.max(1, Math.abs(high)));
  });
}
