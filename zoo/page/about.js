// What is known of a model: the list, the heading above it and the card below it.

import { brief, el } from "./dom.js";

const KINDS = {
  char_lm: "Write texts",
  seq_classifier: "Classify",
  seq_tagger: "Tag",
  seq2seq: "Translate",
  regressor: "Predict numbers",
};
const MEASURES = {
  bpc: (value) => [brief(value, 3), "bits per character"],
  accuracy: (value) => [`${brief(100 * value, 4)}%`, "right"],
  exact_match: (value) => [`${brief(100 * value, 4)}%`, "exactly right"],
  f1: (value) => [brief(value, 2), "F1"],
  mae: (value) => [brief(value, 2), "mean error"],
};
const PARTS = { test: "on data it never saw", val: "on validation data", train: "on what it learned from" };
const CARD = {
  dataset: "Data",
  split: "How it was judged",
  spread: "Figures",
  baseline: "Baseline",
  training_time: "Training",
  limits: "Limits",
  recipe: "Recipe",
  license: "Licence",
};

/** The list of models, by what they do. */
export function list(models) {
  const groups = Object.entries(KINDS).map(([task, kind]) => [kind, models.filter((entry) => entry.task === task)]);
  return el(
    "div",
    {},
    groups
      .filter(([, found]) => found.length)
      .map(([kind, found]) =>
        el(
          "section",
          {},
          el("h2", {}, kind),
          el(
            "ul",
            {},
            found.map((entry) => el("li", {}, link(entry))),
          ),
        ),
      ),
  );
}

function link(entry) {
  const figure = figureOf(entry);
  return el(
    "a",
    { href: `#${encodeURIComponent(entry.name)}`, "data-name": entry.name },
    el("strong", {}, titleOf(entry)),
    el(
      "small",
      {},
      [netOf(entry)?.split(",")[0], figure && figure.slice(0, 2).join(" ")].filter(Boolean).join(" \u00b7 "),
    ),
  );
}

/** Marks the chosen model in the list. */
export function mark({ name }) {
  for (const one of document.querySelectorAll("#list a")) {
    if (one.dataset.name !== name) one.removeAttribute("aria-current");
    else {
      one.setAttribute("aria-current", "page");
      const nav = one.closest("nav"),
        hidden = one.offsetTop + one.offsetHeight - nav.clientHeight - nav.scrollTop;
      if (hidden > 0 || one.offsetTop < nav.scrollTop) nav.scrollTop = one.offsetTop - nav.clientHeight / 2;
    }
  }
}

/** A model's title, as a heading; without a card, its name. */
export function titleOf({ about, name }) {
  if (!about?.title) return name;
  const text = about.title.replaceAll("->", "\u2192");
  return text[0].toUpperCase() + text.slice(1);
}

/** The network, as the card describes it. */
function netOf({ about }) {
  return about?.description?.split(", trained by")[0];
}

/** The most important figure of a model: its value, its unit, and of which data it is. */
function figureOf({ about }) {
  const [found] = Object.entries(about?.metrics ?? {});
  if (!found) return null;
  const [part, measure] = found[0].split("/");
  const [value, unit] = (MEASURES[measure] ?? ((number) => [brief(number), measure]))(found[1]);
  return [value, unit, PARTS[part] ?? part];
}

/** The heading of a model. */
export function heading(entry) {
  const figure = figureOf(entry),
    net = netOf(entry);
  return el(
    "div",
    { class: "heading" },
    el(
      "div",
      {},
      el("h1", {}, titleOf(entry)),
      el("p", { class: "sub" }, [net, entry.name].filter(Boolean).join(" \u00b7 ")),
    ),
    figure &&
      el(
        "p",
        { class: "key-figure" },
        el("span", { class: "big" }, figure[0]),
        el("span", { class: "under" }, `${figure[1]}, ${figure[2]}`),
      ),
  );
}

/** The card of a model. */
export function details({ about, arguments: config }) {
  const rows = Object.entries(CARD).filter(([key]) => about?.[key]);
  const size = [
    ["cell", config.cell],
    ["hidden units", config.hidden_size],
    ["layers", config.num_layers],
  ];
  return el(
    "details",
    { class: "card about" },
    el("summary", {}, "About this model"),
    el(
      "dl",
      {},
      rows.flatMap(([key, name]) => [el("dt", {}, name), el("dd", {}, String(about[key]).replaceAll("`", ""))]),
      el("dt", {}, "Network"),
      el(
        "dd",
        {},
        size
          .filter(([, value]) => value)
          .map(([name, value]) => `${name} ${value}`)
          .join(", "),
      ),
    ),
  );
}
