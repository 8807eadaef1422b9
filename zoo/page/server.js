// The engine that asks a server: `python -m zoo serve`, which also serves this page. `browser.js` has the same calls.

import { ModelFailure } from "./failure.js";
import { symbolsOf, Vocabulary } from "./vocabulary.js";

export class ServerEngine {
  async models() {
    return ask("models");
  }

  async open(entry) {
    return new ServedModel(entry);
  }
}

/** A model of the server. */
class ServedModel {
  constructor({ name, state, arguments: config }) {
    this.config = config;
    const symbols = config.vocab ?? config.source_vocab;
    this.vocabulary = symbols && new Vocabulary(symbols, config.symbols ?? config.source_symbols);
    this.home = `models/${encodeURIComponent(name)}`;
    this.states = state;
    this.stepwise = !config.bidirectional && (config.pooling ?? "last") === "last";
    this.steps = config.num_steps;
    this.single = config.horizon === null; // one step ahead
    this.attends = (config.attention ?? "none") !== "none";
  }

  /** Throws an error if the model can't read a text: see `symbolsOf`. */
  check(text) {
    symbolsOf(text, this.config, this.vocabulary);
  }

  async *write(options, signal) {
    const { prompt: text, top, state } = options;
    if (text) {
      this.check(text);
      const read = await ask(`${this.home}/read`, { text, top, state }, signal);
      yield read.map((symbol) => ({ ...symbol, given: true }));
    }
    const answer = await post(`${this.home}/stream`, options, signal);
    for await (const { event, data } of events(answer.body)) {
      if (event === "done") return;
      if (event === "error") throw new ModelFailure(JSON.parse(data).error);
      yield JSON.parse(data);
    }
  }

  async classify(input) {
    if (this.vocabulary) this.check(input);
    const [found] = await ask(`${this.home}/classify`, { inputs: [input], steps: this.stepwise });
    if (!Array.isArray(found)) return [found];
    if (this.steps && found.length !== this.steps)
      throw new ModelFailure(`It reads ${this.steps} steps, and got ${found.length}.`);
    return found;
  }

  async tag(text) {
    this.check(text);
    return (await ask(`${this.home}/tag`, { texts: [text] }))[0];
  }

  async translate(text) {
    this.check(text);
    return (await ask(`${this.home}/translate`, { texts: [text], alignment: this.attends }))[0];
  }

  async values(sequence) {
    const [found] = await ask(`${this.home}/values`, { sequences: [sequence] });
    return this.single ? [found] : found;
  }

  async forecast(options) {
    return ask(`${this.home}/forecast`, options);
  }
}

async function ask(path, body, signal) {
  return (await (body ? post(path, body, signal) : checked(await fetch(path)))).json();
}

async function post(path, body, signal) {
  const headers = { "Content-Type": "application/json" };
  return checked(await fetch(path, { method: "POST", headers, body: JSON.stringify(body), signal }));
}

async function checked(answer) {
  if (answer.ok) return answer;
  const found = await answer.json().catch(() => ({}));
  throw new ModelFailure(found.error ?? `${answer.status} ${answer.statusText}`);
}

/** Yields the server-sent events of a stream: each with its name and its data. */
async function* events(stream) {
  let rest = "";
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  try {
    for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
      const blocks = (rest + piece.value.replaceAll("\r", "")).split("\n\n");
      rest = blocks.pop();
      for (const block of blocks) {
        const fields = block.split("\n").map((line) => line.split(/: ?(.*)/s));
        const of = (name) =>
          fields
            .filter(([key]) => key === name)
            .map(([, value]) => value)
            .join("\n");
        yield { event: of("event") || "message", data: of("data") };
      }
    }
  } finally {
    await reader.cancel();
  }
}
