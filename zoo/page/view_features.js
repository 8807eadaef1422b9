// Classifiers of numbers that are no pictures: a line of numbers for each step.

import { bars, el, field, later, percent, problem } from "./dom.js";
import { check, parse } from "./rows.js";

const MOST = 12; // classes

export function show(entry, runner, root) {
  const { num_steps: steps, input_size: size, input_columns: names, mean } = entry.arguments;
  const start = Array.from({ length: steps ?? 10 }, () =>
    Array.from({ length: size }, (_, place) => mean?.[place] ?? 0),
  );
  const input = el(
    "textarea",
    { rows: 10, spellcheck: "false", input: later(() => answer()) },
    start.map((row) => row.join(" ")).join("\n"),
  );
  const verdict = el("p", { class: "verdict", "aria-live": "polite" }),
    chances = el("div", { class: "chances" }),
    wrong = problem();
  let turn = 0;

  async function answer() {
    const mine = ++turn;
    try {
      const rows = parse(input.value);
      check(rows, entry.arguments);
      const last = (await runner.classify(rows)).at(-1);
      if (mine !== turn) return;
      wrong.textContent = "";
      const ranked = Object.entries(last.probabilities)
        .sort((a, b) => b[1] - a[1])
        .slice(0, MOST);
      verdict.replaceChildren(
        el("span", { class: "big" }, last.label),
        el("span", { class: "under" }, percent(last.probability)),
      );
      chances.replaceChildren(bars(ranked));
    } catch (error) {
      if (mine === turn) wrong.textContent = error.message;
    }
  }

  root.append(
    el(
      "div",
      { class: "pair" },
      el(
        "section",
        { class: "card" },
        field(`One step a line: ${names ? names.join(" ") : `${size} numbers`}`, input),
        wrong,
      ),
      el("section", { class: "card answer" }, el("h2", {}, "It answers"), verdict, chances),
    ),
  );
  answer();
  return () => turn++;
}
