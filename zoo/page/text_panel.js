// A text whose characters have the colour of a unit, and what the model expects after each.

import { diverging, strong } from "./colours.js";
import { bars, brief, el } from "./dom.js";
import { visible } from "./vocabulary.js";

const BEFORE = 24; // characters shown in front of the inspected one

export class TextPanel {
  constructor(count) {
    Object.assign(this, { count, at: null, limit: 0, unit: null, items: [] });
    this.element = el("div", {
      class: "text",
      tabindex: 0,
      role: "group",
      "aria-label": "The text. With the arrow keys, go from character to character.",
      keydown: (event) => this.key(event),
      pointerover: (event) => this.point(event),
      click: (event) => this.point(event),
    });
    this.inspector = el("div", { class: "inspector", "aria-live": "polite" });
    this.mode("colours");
  }

  /** Shows colours, or the likeliest next symbols under each character as well. */
  mode(name) {
    this.element.dataset.mode = name;
  }

  clear() {
    Object.assign(this, { at: null, limit: 0, items: [] });
    this.element.replaceChildren();
    this.inspect(null);
  }

  /** Adds the last of some items. */
  add(items, unit) {
    const item = items.at(-1), guesses = el("span", { class: "guesses", "aria-hidden": "true" });
    this.items = items;
    const shown = item.text === "\n" ? "\u21b5" : item.text;
    const letter = el("span", { class: "letter" }, shown);
    item.cell = el("span", { class: item.given ? "cell given" : "cell", "data-place": items.length - 1 }, letter, guesses);
    item.letter = letter;
    if (item.text === "\n") item.cell.classList.add("break");
    if (/^[^\S\n]$/.test(item.text)) item.cell.classList.add("blank");
    this.element.append(item.cell, item.text === "\n" ? el("br") : "");
    if (items.length > 1) this.fill(items.at(-2), item);
    if (item.after) this.fill(item, null);
    this.tint(item, unit, items);
    const below = this.element.scrollHeight - this.element.clientHeight - this.element.scrollTop;
    if (below < 120) this.element.scrollTop = this.element.scrollHeight;
    if (this.at === null || this.at === items.length - 2) this.inspect(this.at === null ? null : this.at);
  }

  /** The likeliest symbols after an item; the one that came is marked. */
  fill(item, next) {
    const guesses = item.cell.lastChild;
    guesses.replaceChildren(
      ...(item.after ?? []).map(([symbol, chance]) =>
        el("span", { class: symbol === next?.text ? "came" : null, style: { "--chance": `${Math.round(100 * chance)}%` } }, visible(symbol)),
      ),
    );
  }

  /** Colours all items by a unit. */
  colour(items, unit) {
    Object.assign(this, { unit, items });
    this.limit = largest(items, unit);
    for (const item of items) this.paint(item);
    if (this.at !== null) this.inspect(this.at);
  }

  tint(item, unit, items) {
    if (unit === null || !item.state) return;
    if (unit !== this.unit || Math.abs(item.state[unit]) > this.limit * 1.05) this.colour(items, unit);
    else this.paint(item);
  }

  paint({ letter, state }) {
    const value = state && this.unit !== null && this.limit ? state[this.unit] / this.limit : 0;
    letter.style.background = diverging(value);
    letter.classList.toggle("strong", strong(value));
  }

  point(event) {
    const place = event.target.closest?.("[data-place]")?.dataset.place;
    if (place !== undefined) this.inspect(Number(place));
  }

  key(event) {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (step === undefined && event.key !== "Home" && event.key !== "End") return;
    event.preventDefault();
    const last = this.items.length - 1;
    const to = event.key === "Home" ? 0 : event.key === "End" ? last : (this.at ?? last + (step < 0 ? 1 : 0)) + step;
    if (last >= 0) this.inspect(Math.max(0, Math.min(last, to)));
    this.items[this.at]?.cell.scrollIntoView({ block: "nearest" });
  }

  /** Tells what the model expects after a character. */
  inspect(place) {
    this.element.querySelector(".inspected")?.classList.remove("inspected");
    this.at = place;
    const item = this.items[place];
    if (!item) {
      this.inspector.replaceChildren(el("p", { class: "note" }, "Point at a character, or use the arrow keys, to see what the model expects after it."));
      return;
    }
    item.cell.classList.add("inspected");
    const text = this.items.slice(0, place + 1).map((one) => one.text).join(""), next = this.items[place + 1];
    const value = this.unit !== null && item.state ? item.state[this.unit] : null;
    const came = next && item.after?.find(([symbol]) => symbol === next.text);
    this.inspector.replaceChildren(
      el(
        "div",
        {},
        el("p", { class: "context" }, el("span", {}, visible(text.slice(-BEFORE - 1, -1))), el("mark", {}, visible(text.slice(-1)))),
        el("p", { class: "note" }, item.after ? "is followed by, so it thinks:" : "is the last one so far."),
        value === null ? null : el("p", { class: "note" }, `Unit ${this.unit} is ${brief(value, 3)} here.`),
      ),
      item.after ? bars(item.after, { marked: next?.text, show: visible }) : "",
      next && item.after && !came ? el("p", { class: "note" }, `Then came ${visible(next.text)}, which is none of these.`) : "",
    );
  }
}

function largest(items, unit) {
  if (unit === null) return 0;
  return items.reduce((most, { state }) => Math.max(most, state ? Math.abs(state[unit]) : 0), 0);
}
