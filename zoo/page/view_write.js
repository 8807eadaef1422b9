// Language models: a text is written as you watch. Each character has the colour of a hidden unit (Karpathy 2015).

import { choice, el, field, later, pause, problem, slider } from "./dom.js";
import * as examples from "./examples.js";
import { TextPanel } from "./text_panel.js";
import { UnitList } from "./unit_list.js";

const SHOWN = 5; // likeliest symbols
const PACES = { slow: "slow", normal: "normal", fast: "fast" };
const PAUSES = { slow: 220, normal: 30, fast: 0 }; // milliseconds after a symbol
const OFTEN = 600; // milliseconds between two orders of the units

export function show(entry, runner, root) {
  const view = new WriteView(entry, runner);
  root.append(view.element);
  view.run();
  return () => view.stop();
}

class WriteView {
  constructor(entry, runner) {
    Object.assign(this, {
      entry,
      runner,
      items: [],
      pace: matchMedia("(prefers-reduced-motion: reduce)").matches ? "fast" : "normal",
    });
    this.state = runner.states.at(-1);
    this.text = new TextPanel(SHOWN);
    this.units = new UnitList((unit) => this.text.colour(this.items, unit));
    this.wrong = problem();
    this.prompt = el("textarea", { rows: 1, spellcheck: "false", autocapitalize: "off" }, examples.known(entry) ?? "");
    const { temperature, length } = examples.settings(entry);
    this.temperature = slider("Temperature", { min: 0, max: 1.5, step: 0.05, value: temperature, digits: 2 });
    this.length = el("input", { type: "number", min: 1, max: 2000, value: length });
    this.seed = el("input", { type: "number", min: 0, max: 4294967295, value: 1 });
    this.button = el("button", {
      type: "button",
      class: "primary",
      click: () => (this.running ? this.stop() : this.run()),
    });
    this.again = later(() => this.run(), 700);
    this.element = this.layout();
    this.shown(false);
  }

  layout() {
    const dice = () => {
      this.seed.value = Math.floor(Math.random() * 10000);
      this.run();
    };
    for (const input of [this.prompt, this.temperature.input, this.length, this.seed])
      input.addEventListener("input", this.again);
    return el(
      "div",
      { class: "write" },
      el(
        "section",
        { class: "card controls" },
        field("The text begins with", this.prompt),
        this.temperature.element,
        field("Length", this.length),
        field("Seed", this.seed),
        el(
          "div",
          { class: "row" },
          this.button,
          el("button", { type: "button", class: "quiet", click: dice }, "New seed"),
        ),
        this.wrong,
      ),
      el(
        "div",
        { class: "stage" },
        el(
          "section",
          { class: "card" },
          el(
            "div",
            { class: "row spread" },
            choice("Show", { colours: "Colours", guesses: "With guesses" }, "colours", (mode) => this.text.mode(mode)),
            choice("Pace", PACES, this.pace, (pace) => (this.pace = pace)),
          ),
          this.text.element,
          this.text.inspector,
        ),
        el(
          "section",
          { class: "card units" },
          el("h2", {}, "Hidden units"),
          el("p", { class: "note" }, "Choose one: it colours the text. The ones that change most come first."),
          this.stateChoice(),
          this.text.legend,
          this.units.element,
        ),
      ),
    );
  }

  stateChoice() {
    const select = el(
      "select",
      { change: () => this.changeState(select.value) },
      this.runner.states.map((name, i) =>
        el(
          "option",
          { value: name, selected: name === this.state },
          nameOf(i, this.runner.states.length, this.entry.arguments),
        ),
      ),
    );
    return field("State", select);
  }

  /** Does something that Stop ends. */
  async during(action) {
    this.stop();
    const control = (this.running = new AbortController());
    this.shown(true);
    this.wrong.textContent = "";
    try {
      await action(control.signal);
    } catch (error) {
      if (!control.signal.aborted) this.wrong.textContent = error.message;
    } finally {
      if (this.running === control) {
        this.running = null;
        this.shown(false);
      }
    }
  }

  /** Reads the prompt, and writes after it. */
  run() {
    return this.during(async (signal) => {
      this.items = [];
      this.text.clear();
      this.asked = {
        prompt: this.prompt.value,
        length: whole(this.length, "length"),
        seed: whole(this.seed, "seed"),
        temperature: Number(this.temperature.input.value),
        top: SHOWN,
      };
      let ordered = performance.now();
      for await (const found of this.runner.write({ ...this.asked, state: this.state }, signal))
        for (const fresh of found[0].given ? [found] : found.map((item) => [item])) {
          if (signal.aborted) return;
          this.add(fresh);
          if (performance.now() - ordered > OFTEN) {
            this.units.order(this.items);
            ordered = performance.now();
          }
          if (!fresh[0].given) await pause(PAUSES[this.pace]);
        }
      if (!signal.aborted) this.coloured();
    });
  }

  /** Adds symbols. What is expected after a given one came with it; after another, it comes with the next. */
  add(fresh) {
    for (const item of fresh) {
      if (!item.given && this.items.length) this.items.at(-1).after = item.top;
      item.after = item.given ? item.top : null;
      this.items.push(item);
    }
    this.text.add(this.items, fresh.length, this.units.unit);
  }

  coloured() {
    this.units.order(this.items);
    this.text.colour(this.items, this.units.unit);
  }

  stop() {
    this.again.cancel();
    this.running?.abort();
    this.running = null;
    this.shown(false);
  }

  shown(running) {
    this.button.textContent = running ? "Stop" : "Write";
    this.text.element.setAttribute("aria-busy", String(running));
  }

  /** Shows the units of another tensor of the state: has the same text written once more, which the seed allows. */
  changeState(name) {
    this.state = name;
    return this.during(async (signal) => {
      const { items } = this,
        states = [];
      if (!items.length) return;
      this.units.reset();
      this.text.states(items, []);
      this.text.colour(items, null);
      const length = items.filter((item) => !item.given).length || 1;
      for await (const found of this.runner.write({ ...this.asked, length, state: name }, signal)) {
        states.push(...found.map((item) => item.state));
        if (signal.aborted || states.length >= items.length) break;
      }
      if (signal.aborted) return;
      this.text.states(items, states);
      this.coloured();
    });
  }
}

/** The whole number in a field. */
function whole(input, name) {
  if (input.value === "" || !input.checkValidity())
    throw new Error(`The ${name} must be a whole number from ${input.min} to ${input.max}.`);
  return Number(input.value);
}

const LETTERS = { lstm: ["h", "c"], m_lstm_krause: ["h", "c"], peephole_lstm: ["h", "c"], layer_norm_lstm: ["h", "c"] };

/** The name of a tensor of the state: its layer, and the textbook's letter where it has one. */
function nameOf(number, count, { num_layers: layers, cell }) {
  const each = count / layers;
  if (!Number.isInteger(each)) return `state ${number}`;
  const letters = LETTERS[cell] ?? (each === 1 ? ["h"] : []);
  const within = number % each;
  return `layer ${Math.floor(number / each) + 1}, ${letters[within] ?? `tensor ${within + 1}`}`;
}
