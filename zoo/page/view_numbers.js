// Regressors: numbers in, the next ones out. Models that know their columns forecast a table.

import { chart } from "./chart.js";
import { brief, el, field, later, problem } from "./dom.js";
import * as examples from "./examples.js";
import { check, parse } from "./rows.js";

const MOST_FIELDS = 60; // more numbers are edited as a text
const HIGH = 4; // digits of a moved point

export function show(entry, runner, root) {
  const view = new NumbersView(entry, runner);
  root.append(view.element);
  view.answer();
  const redraw = later(() => view.found && view.draw(view.found), 100);
  addEventListener("resize", redraw);
  return () => {
    view.turn++;
    removeEventListener("resize", redraw);
  };
}

class NumbersView {
  constructor(entry, runner) {
    const { rows, times } = examples.numbers(entry),
      config = entry.arguments;
    Object.assign(this, { config, runner, rows, times, turn: 0 });
    this.forecasts = config.input_columns && config.target_columns && config.horizon; // else `values`
    this.column = this.single ? 0 : (config.input_columns?.indexOf(config.target_columns?.[0]) ?? -1); // in the picture
    this.marks = config.input_size === 2 && rows.every(([, mark]) => mark === 0 || mark === 1);
    this.picture = el("div", { class: "picture" });
    this.verdict = el("p", { class: "verdict", "aria-live": "polite" });
    this.wrong = problem();
    this.editor = el("div", { class: "editor" });
    this.soon = later(() => this.answer(), 60);
    this.element = this.layout();
  }

  layout() {
    const small = this.rows.length * this.config.input_size <= 8;
    this.fillEditor();
    const editor = small ? this.editor : el("details", {}, el("summary", {}, "Edit the numbers"), this.editor);
    const hint = this.marks
      ? "Choose which two numbers are marked: click them."
      : this.column >= 0 && !small
        ? "Move a point up or down, and watch the forecast."
        : null;
    return el(
      "div",
      { class: "numbers" },
      el(
        "section",
        { class: "card" },
        small
          ? el(
              "div",
              { class: "sum" },
              editor,
              el("span", { class: "arrow", "aria-hidden": "true" }, "\u2192"),
              this.verdict,
            )
          : [this.verdict, hint && el("p", { class: "note" }, hint)],
        this.picture,
        small ? null : editor,
        this.wrong,
      ),
    );
  }

  get single() {
    return this.config.input_size === 1;
  }

  fillEditor() {
    const names =
      this.config.input_columns ??
      Array.from({ length: this.config.input_size }, (_, i) => (this.single ? "number" : `number ${i + 1}`));
    if (this.rows.length * this.config.input_size <= MOST_FIELDS) {
      const inputs = this.rows.flatMap((row, i) =>
        row.map((value, place) => {
          const input = el("input", {
            type: "number",
            step: "any",
            value,
            "aria-label": `${this.times?.[i] ?? `step ${i + 1}`}, ${names[place]}`,
          });
          input.addEventListener("input", () => {
            this.rows[i][place] = input.value.trim() === "" ? NaN : Number(input.value);
            this.soon();
          });
          return el("span", { class: "number-field" }, this.times ? el("small", {}, this.times[i]) : null, input);
        }),
      );
      this.editor.replaceChildren(this.config.calendar.length ? this.firstTime() : "", ...inputs);
      return;
    }
    const text = el("textarea", { rows: 10, spellcheck: "false" }, this.rows.map((row) => row.join(" ")).join("\n"));
    text.addEventListener("input", () => {
      this.rows = parse(text.value);
      this.soon();
    });
    this.editor.replaceChildren(field(`One step a line: ${names.join(" ")}`, text));
  }

  /** A field for the time of the first step, which a calendar needs. */
  firstTime() {
    const input = el("input", { type: "text", value: this.times[0] });
    input.addEventListener("change", () => {
      try {
        this.times = examples.timesFrom(input.value, this.config.freq, this.rows.length);
        this.fillEditor();
        this.answer();
      } catch (error) {
        this.wrong.textContent = error.message;
      }
    });
    return field("Time of the first step", input);
  }

  async answer() {
    const mine = ++this.turn;
    try {
      check(this.rows, this.config);
      const found = this.forecasts ? await this.forecast() : await this.values();
      if (mine !== this.turn) return;
      this.wrong.textContent = "";
      this.found = found;
      this.draw(found);
    } catch (error) {
      if (mine === this.turn) this.wrong.textContent = error.message;
    }
  }

  async values() {
    const found = await this.runner.values(this.rows);
    return { values: found.map((step) => step[0]), all: found, band: null, times: null };
  }

  async forecast() {
    const { input_columns: names, target_columns: targets } = this.config;
    const table = Object.fromEntries(names.map((name, place) => [name, this.rows.map((row) => row[place])]));
    const { times, values, quantiles } = await this.runner.forecast({ table, times: this.times });
    const levels = Object.entries(quantiles[targets[0]] ?? {}).sort(([a], [b]) => a - b);
    const band = levels.length > 1 ? [levels[0], levels.at(-1)] : null;
    return {
      values: values[targets[0]],
      times,
      band: band?.map(([, steps]) => steps),
      levels: band?.map(([level]) => level),
    };
  }

  draw({ values, all, band, levels, times }) {
    const target = this.config.target_columns?.[0];
    const shown = all?.length === 1 ? all[0].map((value) => brief(value)).join(", ") : brief(values.at(-1), 5);
    const when = times?.at(-1) ?? (values.length > 1 ? `${values.length} steps ahead` : null);
    const range = band
      ? `; with a probability of ${Math.round(100 * (levels[1] - levels[0]))}%, between ${brief(band[0].at(-1), 5)} and ${brief(band[1].at(-1), 5)}`
      : "";
    this.verdict.replaceChildren(
      el("span", { class: "big" }, shown),
      el(
        "span",
        { class: "under" },
        this.marks
          ? this.sum()
          : `${when ? `expected ${target ?? "value"}, ${when}` : "comes next, so it thinks"}${range}`,
      ),
    );
    this.picture.replaceChildren(this.marks ? this.stems() : this.column >= 0 ? this.line(values, band, times) : "");
  }

  line(values, band, times) {
    const labels =
      this.times && times
        ? [...this.times, ...times]
        : Array.from({ length: this.rows.length + values.length }, (_, i) => String(i + 1));
    return chart({
      width: Math.min(900, Math.max(320, this.picture.clientWidth)),
      window: this.rows.map((row) => row[this.column]),
      forecast: values,
      band,
      labels,
      label: `${this.rows.length} numbers, and the forecast ${values.map((value) => brief(value)).join(", ")}`,
      move: (place, value, step) =>
        this.move(
          place,
          Number(
            value.toFixed(
              Math.max(0, HIGH - Math.ceil(Math.log10(Math.abs(value) + 1)), -Math.floor(Math.log10(step))),
            ),
          ),
        ),
    });
  }

  move(place, value) {
    this.rows[place][this.column] = value;
    const input = this.editor.querySelectorAll("input[type=number]")[place * this.config.input_size + this.column];
    if (input) input.value = value;
    this.answer();
  }

  /** The numbers as stems; the marked ones stand out. */
  stems() {
    const most = Math.max(...this.rows.map(([value]) => Math.abs(value)), 1e-9);
    return el(
      "div",
      { class: "stems", role: "group", "aria-label": "The numbers" },
      this.rows.map(([value, mark], i) =>
        el(
          "button",
          {
            type: "button",
            class: mark ? "stem marked" : "stem",
            "aria-pressed": String(Boolean(mark)),
            "aria-label": `${value}, number ${i + 1}`,
            title: String(value),
            click: () => this.mark(i),
          },
          el("span", { style: { height: `${(100 * Math.abs(value)) / most}%` } }),
        ),
      ),
    );
  }

  /** Marks a number in place of the marked one that is nearest. */
  mark(place) {
    if (this.rows[place][1]) return;
    const marked = this.rows.flatMap(([, mark], i) => (mark ? [i] : []));
    const nearest = marked.sort((a, b) => Math.abs(a - place) - Math.abs(b - place))[0];
    if (nearest !== undefined) this.rows[nearest][1] = 0;
    this.rows[place][1] = 1;
    this.fillEditor();
    this.answer();
  }

  sum() {
    if (!this.config.target_columns?.includes("sum")) return "it says";
    const marked = this.rows.filter(([, mark]) => mark).map(([value]) => value);
    return `it says of the marked numbers; ${marked.join(" + ")} = ${brief(marked.reduce((a, b) => a + b, 0))}`;
  }
}
