// A language model in the browser.

import { after, Graph, one } from "./graph.js";
import { generator } from "./random.js";
import { choose, likeliest } from "./sampling.js";
import { clean, END, Joiner, Vocabulary } from "./vocabulary.js";

export class CharLM {
  constructor(step, config) {
    Object.assign(this, { step, config });
    this.vocabulary = new Vocabulary(config.vocab, config.symbols);
    this.states = step.states;
  }

  static async open(folder, { arguments: config, graphs }) {
    return new CharLM(await Graph.open(`${folder}/${graphs.step.file}`, graphs.step), config);
  }

  /** Reads a text: for each symbol, what is expected after it, and the state named `state` after it was read. */
  async read({ text, top = 5, state }) {
    const symbols = this.vocabulary.split(clean(text, this.config)),
      banned = this.vocabulary.banned();
    const joiner = new Joiner(this.vocabulary.kind),
      found = [];
    let states = this.step.first();
    for (const id of this.vocabulary.encode(symbols)) {
      const outputs = await this.advance(id, states);
      states = outputs.states;
      const { chances } = choose(outputs.logits, banned, 0);
      const symbol = this.vocabulary.symbols[id];
      found.push({ text: joiner.add(symbol), top: this.likeliest(chances, top), state: states[state]?.data });
    }
    return found;
  }

  /**
   * Generates a text symbol by symbol, after a prompt: for each symbol its text, the probabilities that it was chosen
   * from, and the state named `state` after it was read.
   */
  async *stream({ prompt, length, temperature, seed, top = 5, state }) {
    const symbols = this.vocabulary.split(clean(prompt, this.config)),
      banned = this.vocabulary.banned();
    const given = this.vocabulary.encode(symbols),
      uniform = generator(seed);
    let states = this.step.first(),
      logits;
    for (const id of given.length ? given : [this.vocabulary.blank()])
      ({ logits, states } = await this.advance(id, states));
    const joiner = new Joiner(this.vocabulary.kind, symbols.at(-1));
    for (let count = 0; count < length; count++) {
      const { id, chances } = choose(logits, banned, temperature, temperature ? uniform() : 0);
      const symbol = this.vocabulary.symbols[id];
      if (symbol === END) return;
      ({ logits, states } = await this.advance(id, states));
      yield { text: joiner.add(symbol), top: this.likeliest(chances, top), state: states[state]?.data };
    }
  }

  async advance(id, states) {
    const outputs = await this.step.run({ ids: one(id), ...states });
    return { logits: outputs.logits.data, states: after(outputs, this.states) };
  }

  likeliest(chances, count) {
    return likeliest(chances, this.vocabulary.symbols, count);
  }
}
