// A language model in the browser.

import { after, Graph, one } from "./graph.js";
import { generator } from "./random.js";
import { choose, likeliest } from "./sampling.js";
import { END, Joiner, symbolsOf, Vocabulary } from "./vocabulary.js";

const OFTEN = 100; // milliseconds between two lists of read symbols

export class CharLM {
  constructor(step, config) {
    Object.assign(this, { step, config });
    this.vocabulary = new Vocabulary(config.vocab, config.symbols);
    this.states = step.states;
  }

  static async open(folder, { arguments: config, graphs }) {
    return new CharLM(await Graph.open(`${folder}/${graphs.step.file}`, graphs.step), config);
  }

  /**
   * Reads a prompt, and writes after it. Yields lists of symbols: each with its text, and the state named `state` after
   * it was read. Those of the prompt are `given`, and their `top` is what is expected after them; that of the others is
   * what they were chosen from.
   */
  async *write({ prompt, length, temperature, seed, top, state }, signal) {
    const { vocabulary } = this,
      { kind } = vocabulary,
      banned = vocabulary.banned(),
      uniform = generator(seed);
    const given = prompt ? symbolsOf(prompt, this.config, vocabulary) : [];
    let { logits, states } = given.length
        ? { states: this.step.first() }
        : await this.advance(vocabulary.blank(), this.step.first()),
      joiner = new Joiner(kind),
      read = [],
      yielded = performance.now();
    for (const id of vocabulary.encode(given)) {
      ({ logits, states } = await this.advance(id, states));
      if (signal.aborted) return;
      const { chances } = choose(logits, banned, 0),
        text = joiner.add(vocabulary.symbols[id]);
      read.push({ given: true, text, top: this.likeliest(chances, top), state: states[state]?.data });
      if (performance.now() - yielded < OFTEN) continue;
      yield read;
      read = [];
      yielded = performance.now();
    }
    if (read.length) yield read;
    joiner = new Joiner(kind, given.at(-1));
    for (let count = 1, ended = false; count <= length && !ended; count++) {
      const { id, chances } = choose(logits, banned, temperature, temperature ? uniform() : 0);
      const symbol = vocabulary.symbols[id];
      ended = symbol === END;
      ({ logits, states } = await this.advance(id, states));
      if (signal.aborted) return;
      const text = (ended ? "" : joiner.add(symbol)) + (ended || count === length ? joiner.end() : "");
      yield [{ text, top: this.likeliest(chances, top), state: states[state]?.data }];
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
