// Classifiers of texts: what they think after each symbol.

import { sequential, strong } from "./colours.js";
import { bars, el, field, later, percent, problem } from "./dom.js";
import * as examples from "./examples.js";
import { clean, visible } from "./vocabulary.js";

const MOST = 12; // classes
const LONGEST = 400; // symbols in the picture

export function show(entry, runner, root) {
  const { num_steps: steps, classes, vocab, symbols } = entry.arguments;
  const input = el("input", {
    type: "text",
    class: "big-input",
    value: examples.text(entry, vocab, steps ?? 12, symbols),
    autocomplete: "off",
    autocapitalize: "off",
    spellcheck: "false",
    input: later(() => answer(), 120),
  });
  const verdict = el("p", { class: "verdict", "aria-live": "polite" });
  const chances = el("div", { class: "chances" }),
    picture = el("div", { class: "scrolls", tabindex: 0, role: "region", "aria-label": "After each symbol" });
  const wrong = problem();
  const hint = el(
    "small",
    {},
    `${steps ? `${steps} symbols of: ` : "symbols: "}${vocab.slice(0, 40).map(visible).join(" ")}${vocab.length > 40 ? " \u2026" : ""}`,
  );
  let turn = 0;

  async function answer() {
    const mine = ++turn;
    try {
      const found = await runner.classify(input.value);
      if (mine !== turn) return;
      wrong.textContent = "";
      draw(found, pieces(input.value, found.length));
    } catch (error) {
      if (mine === turn) wrong.textContent = error.message;
    }
  }

  function pieces(text, count) {
    const cleaned = clean(text, entry.arguments);
    const found = symbols === "words" ? cleaned.split(/\s+/) : [...cleaned];
    return found.length >= count ? found.slice(0, count) : Array.from({ length: count }, (_, i) => String(i + 1));
  }

  function draw(found, read) {
    const last = found.at(-1);
    const ranked = classes
      .map((name) => [name, last.probabilities[name]])
      .sort((a, b) => b[1] - a[1])
      .slice(0, MOST);
    verdict.replaceChildren(
      el("span", { class: "big" }, last.label),
      el("span", { class: "under" }, percent(last.probability)),
    );
    chances.replaceChildren(bars(ranked, { show: visible }));
    const names = classes.length <= MOST ? classes : ranked.map(([name]) => name);
    picture.replaceChildren(found.length > 1 ? steps_of(found.slice(-LONGEST), read.slice(-LONGEST), names) : "");
    picture.scrollLeft = picture.scrollWidth;
    picture.parentElement.hidden = found.length < 2;
  }

  root.append(
    el("section", { class: "card" }, field("Input", input, hint), wrong),
    el(
      "div",
      { class: "pair" },
      el("section", { class: "card answer" }, el("h2", {}, "It answers"), verdict, chances),
      el("section", { class: "card" }, el("h2", {}, "What it thinks after each symbol"), picture),
    ),
  );
  answer();
  return () => turn++;
}

/** A table: a column for each symbol, a row for each class. */
function steps_of(found, read, names) {
  const cell = (answer, name) => {
    const chance = answer.probabilities[name];
    return el(
      "td",
      { class: strong(chance) ? "strong" : null, style: { background: sequential(chance) }, title: percent(chance) },
      el("span", { class: "hidden" }, percent(chance)),
    );
  };
  return el(
    "table",
    { class: read.length > 12 ? "matrix dense" : "matrix" },
    el(
      "thead",
      {},
      el(
        "tr",
        {},
        el("td", {}),
        read.map((symbol) => el("th", { scope: "col" }, visible(symbol))),
      ),
    ),
    el(
      "tbody",
      {},
      names.map((name) =>
        el(
          "tr",
          {},
          el("th", { scope: "row" }, visible(name)),
          found.map((answer) => cell(answer, name)),
        ),
      ),
    ),
  );
}
