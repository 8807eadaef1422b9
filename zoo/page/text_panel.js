// A text whose characters have the colour of a unit, and what the model expects after each.
//
// The colour is that of tanh(value), as in Karpathy's figures, in proportion to the largest one in the text. While a text
// is written, the panel follows its end, until the reader points at a character.

import { diverging } from "./colours.js";
import { bars, brief, el } from "./dom.js";
import { END, visible } from "./vocabulary.js";

const BEFORE = 16; // characters shown in front of the inspected one

export class TextPanel {
  constructor(count) {
    Object.assign(this, { count, at: null, pinned: false, limit: 0, unit: null, items: [] });
    this.element = el("div", {
      class: "text",
      tabindex: 0,
      role: "group",
      "aria-label": "The text. With the arrow keys, go from character to character.",
      keydown: (event) => this.key(event),
      pointerover: (event) => this.pinned || this.point(event),
      pointerleave: () => this.pinned || this.follow(),
      click: (event) => this.pin(event),
    });
    this.legend = el("p", { class: "legend note", title: "tanh of the unit's value" });
    this.inspector = el("div", { class: "inspector", "aria-live": "polite" });
    this.mode("colours");
  }

  /** Shows colours, or the likeliest next symbols under each character as well. */
  mode(name) {
    this.element.dataset.mode = name;
  }

  clear() {
    Object.assign(this, { at: null, pinned: false, limit: 0, items: [] });
    this.element.replaceChildren();
    this.follow();
  }

  /** Adds the last `count` of some items. */
  add(items, count, unit) {
    const from = items.length - count,
      fresh = items.slice(from);
    this.items = items;
    this.element.append(...fresh.flatMap((item, i) => this.drawn(item, from + i)));
    for (let place = Math.max(1, from); place < items.length; place++) this.fill(items[place - 1], items[place]);
    if (items.at(-1).after) this.fill(items.at(-1), null);
    this.tint(items, fresh, unit);
    const below = this.element.scrollHeight - this.element.clientHeight - this.element.scrollTop;
    if (below < 120 || count > 1) this.element.scrollTop = this.element.scrollHeight;
    if (this.following) this.follow();
    else if (this.at !== null && this.at === from - 1) this.inspect(this.at);
  }

  /** The elements of an item. */
  drawn(item, place) {
    const guesses = el("span", { class: "guesses", "aria-hidden": "true" });
    const letter = el("span", { class: "letter" }, { "\n": "\u21b5", "": "\u00b7" }[item.text] ?? item.text);
    item.values = item.state && Float32Array.from(item.state, Math.tanh);
    if ([...item.text].length > 1) this.element.dataset.wide = "";
    item.cell = el("span", { class: item.given ? "cell given" : "cell", "data-place": place }, letter, guesses);
    item.letter = letter;
    if (item.text === "\n") item.cell.classList.add("break");
    if (/^[^\S\n]$/.test(item.text)) item.cell.classList.add("blank");
    return item.text === "\n" ? [item.cell, el("br")] : [item.cell];
  }

  /** The likeliest symbols after an item; the one that came is marked. */
  fill(item, next) {
    const guesses = item.cell.lastChild;
    guesses.replaceChildren(
      ...(item.after ?? []).map(([symbol, chance]) =>
        el(
          "span",
          { class: next && came(symbol, next) ? "came" : null, style: { "--chance": `${Math.round(100 * chance)}%` } },
          visible(symbol),
        ),
      ),
    );
  }

  /** Gives the items other states, for example of another tensor. */
  states(items, states) {
    items.forEach((item, i) => {
      item.state = states[i];
      item.values = states[i] && Float32Array.from(states[i], Math.tanh);
    });
  }

  /** Colours all items by a unit. */
  colour(items, unit) {
    Object.assign(this, { unit, items });
    this.limit = largest(items, unit);
    for (const item of items) this.paint(item);
    const end = brief(this.limit, 2);
    this.legend.replaceChildren(
      el("span", {}, `\u2212${end}`),
      el("span", { class: "scale", role: "img", "aria-label": "blue below 0, white at 0, orange above" }),
      el("span", {}, `+${end}`),
    );
    if (this.at !== null) this.inspect(this.at);
  }

  tint(items, fresh, unit) {
    if (unit === null) return;
    if (unit !== this.unit || largest(fresh, unit) > this.limit * 1.05) this.colour(items, unit);
    else fresh.forEach((item) => this.paint(item));
  }

  paint({ letter, values }) {
    const value = values && this.unit !== null && this.limit ? values[this.unit] / this.limit : 0;
    letter.style.background = diverging(value);
  }

  point(event) {
    const place = event.target.closest?.("[data-place]")?.dataset.place;
    if (place === undefined) return;
    this.following = false;
    this.inspect(Number(place));
  }

  /** Keeps a character that was clicked, until it is clicked again. */
  pin(event) {
    const before = this.pinned && this.at;
    this.point(event);
    this.pinned = before !== this.at;
    if (!this.pinned) this.follow();
  }

  /** Inspects the last character that another one follows. */
  follow() {
    this.following = true;
    this.inspect(this.items.length > 1 ? this.items.length - 2 : null);
  }

  key(event) {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (step === undefined && event.key !== "Home" && event.key !== "End") return;
    event.preventDefault();
    const last = this.items.length - 1;
    const to = event.key === "Home" ? 0 : event.key === "End" ? last : (this.at ?? last + (step < 0 ? 1 : 0)) + step;
    Object.assign(this, { following: false, pinned: true });
    if (last >= 0) this.inspect(Math.max(0, Math.min(last, to)));
    this.items[this.at]?.cell.scrollIntoView({ block: "nearest" });
  }

  /** Tells what the model expects after a character. */
  inspect(place) {
    this.items[this.at]?.cell.classList.remove("inspected");
    this.at = place;
    this.inspector.setAttribute("aria-live", this.following ? "off" : "polite");
    const item = this.items[place];
    if (!item) {
      this.inspector.replaceChildren(
        el("p", { class: "note" }, "Here you will see what the model expects after a character."),
      );
      return;
    }
    item.cell.classList.add("inspected");
    const text = this.items
        .slice(Math.max(0, place - 4 * BEFORE), place + 1) // a character has at most 4 bytes
        .map((one) => one.text)
        .join(""),
      next = this.items[place + 1];
    const value = this.unit !== null && item.state ? item.state[this.unit] : null;
    const chosen = next && item.after?.find(([symbol]) => came(symbol, next));
    this.inspector.replaceChildren(
      el(
        "div",
        {},
        el(
          "p",
          { class: "context" },
          el("span", {}, visible(text.slice(-BEFORE - 1, -1))),
          el("mark", {}, visible(text.slice(-1))),
        ),
        el(
          "p",
          { class: "note" },
          item.after ? "What comes next, so it thinks. Point at any character." : "This is the last one so far.",
        ),
        next && item.after && !chosen
          ? el("p", { class: "note" }, `Then came ${visible(next.text)}, which is none of these.`)
          : null,
        value === null ? null : el("p", { class: "note" }, `Unit ${this.unit} is ${brief(value, 3)} here.`),
      ),
      item.after ? bars(item.after, { marked: chosen?.[0] ?? null, show: visible }) : "",
    );
  }
}

function largest(items, unit) {
  if (unit === null) return 0;
  return items.reduce((most, { values }) => Math.max(most, values ? Math.abs(values[unit]) : 0), 0);
}

/** Whether a symbol is the one that came. In a text of words, a space may be in front of it. The end has no text. */
function came(symbol, next) {
  return next.text === symbol || next.text === ` ${symbol}` || (symbol === END && !next.text);
}
