// Taggers: a tag for each symbol. Tags that are edits show the edited text.

import { el, field, later, percent, problem } from "./dom.js";
import * as examples from "./examples.js";
import { visible } from "./vocabulary.js";

export function show(entry, runner, root) {
  const { tags, vocab, symbols: kind } = entry.arguments;
  const edits = tags.includes("=") && tags.every((tag) => /^[=^]/.test(tag)); // as `zoo.tags.is_edits`
  const input = el(
    "textarea",
    { rows: 3, autocapitalize: "off", spellcheck: "false", input: later(() => answer(), 200) },
    examples.text(entry, vocab, 12, kind),
  );
  const output = el("div", { class: edits ? "edited" : "tagged", "aria-live": "polite" });
  const wrong = problem();
  let turn = 0;

  async function answer() {
    const mine = ++turn;
    try {
      const found = await runner.tag(input.value);
      if (mine !== turn) return;
      wrong.textContent = "";
      output.replaceChildren(...(edits ? edited(found) : tagged(found, tags)));
    } catch (error) {
      if (mine === turn) wrong.textContent = error.message;
    }
  }

  root.append(
    el("section", { class: "card" }, field("Text", input), wrong),
    el(
      "section",
      { class: "card" },
      el("h2", {}, edits ? "With what it puts back" : "With its tags"),
      output,
      el(
        "p",
        { class: "note" },
        edits
          ? "Marked: what it changed. The fainter the mark, the less sure it is."
          : "Point at a symbol to see how sure it is.",
      ),
    ),
  );
  answer();
  return () => turn++;
}

/** The text after the edits, each of them marked. */
function edited({ symbols, tags, probabilities }) {
  return symbols.flatMap((symbol, i) => {
    const upper = tags[i][0] === "^" && symbol.toUpperCase() !== symbol,
      added = tags[i].slice(1);
    const mark = (text, what) =>
      el(
        "ins",
        {
          title: `${what}: ${percent(probabilities[i])} sure`,
          style: { "--sure": `${Math.round(70 * probabilities[i])}%` },
        },
        text,
      );
    const shown = tags[i][0] === "^" ? symbol.toUpperCase() : symbol;
    return [upper ? mark(shown, "upper case") : shown, added && mark(added, `added ${added}`)].filter(Boolean);
  });
}

/** Each symbol above its tag. */
function tagged({ symbols, tags, probabilities }, known) {
  const kinds = [...new Set(known.map((tag) => tag.replace(/^[BI]-/, "")))].filter((tag) => tag !== "O");
  return symbols.map((symbol, i) => {
    const kind = kinds.indexOf(tags[i].replace(/^[BI]-/, ""));
    return el(
      "span",
      {
        class: "token",
        title: percent(probabilities[i]),
        style: { "--kind": kind < 0 ? null : `${(kind * 137) % 360}` },
        "data-outside": kind < 0,
      },
      el("span", {}, visible(symbol)),
      el("small", {}, tags[i]),
    );
  });
}
