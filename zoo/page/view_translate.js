// Encoders and decoders: a text, what it becomes, and where the decoder looked.

import { sequential, strong } from "./colours.js";
import { el, field, later, percent, problem } from "./dom.js";
import * as examples from "./examples.js";
import { END, visible } from "./vocabulary.js";

export function show(entry, runner, root) {
  const { source_vocab: vocab, source_symbols: kind, attention } = entry.arguments;
  const input = el("input", {
    type: "text",
    class: "big-input",
    value: examples.text(entry, vocab, 6, kind),
    autocomplete: "off",
    autocapitalize: "off",
    spellcheck: "false",
    input: later(() => translate(), 120),
  });
  const output = el("output", { class: "translation", "aria-live": "polite" });
  const wrong = problem(),
    looked = el("div", { class: "scrolls", tabindex: 0, role: "region", "aria-label": "Where it looked" });
  let turn = 0;

  async function translate() {
    const mine = ++turn;
    try {
      const { text, alignment } = await runner.translate(input.value);
      if (mine !== turn) return;
      wrong.textContent = "";
      output.textContent = text || "(nothing)";
      looked.replaceChildren(alignment ? matrix(alignment) : "");
    } catch (error) {
      if (mine === turn) wrong.textContent = error.message;
    }
  }

  root.append(
    el(
      "section",
      { class: "card translate" },
      field("From", input),
      el("span", { class: "arrow", "aria-hidden": "true" }, "\u2192"),
      el("div", { class: "field" }, el("span", { class: "label" }, "To"), output),
      wrong,
    ),
    el(
      "section",
      { class: "card" },
      el("h2", {}, "Where it looked"),
      attention && attention !== "none"
        ? [
            el(
              "p",
              { class: "note" },
              "A row for each symbol that it wrote. The more colour a square has, the more it looked at that symbol of the source.",
            ),
            looked,
          ]
        : el(
            "p",
            { class: "note" },
            "Nowhere: this model has no attention. All that the decoder knows of the source is the encoder\u2019s last state.",
          ),
    ),
  );
  translate();
  return () => turn++;
}

function matrix({ source, target, weights }) {
  const cell = (weight, s, t) =>
    el(
      "td",
      {
        class: strong(weight) ? "strong" : null,
        style: { background: sequential(weight) },
        title: `${name(target[t])} looked at ${visible(source[s])}: ${percent(weight)}`,
      },
      el("span", { class: weight >= 0.1 ? "value" : "hidden" }, String(Math.round(100 * weight))),
    );
  return el(
    "table",
    { class: "matrix alignment" },
    el("caption", { class: "hidden" }, "Weights of the attention in percent"),
    el(
      "thead",
      {},
      el(
        "tr",
        {},
        el("td", {}),
        source.map((symbol) => el("th", { scope: "col" }, visible(symbol))),
      ),
    ),
    el(
      "tbody",
      {},
      weights.map((row, t) =>
        el(
          "tr",
          {},
          el("th", { scope: "row" }, name(target[t])),
          row.map((weight, s) => cell(weight, s, t)),
        ),
      ),
    ),
  );
}

function name(symbol) {
  return symbol === END ? "end" : visible(symbol);
}
