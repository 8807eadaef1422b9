// An encoder and decoder in the browser: the likeliest symbol each time.

import { Graph, one, row } from "./graph.js";
import { argmax, choose } from "./sampling.js";
import { END, join, START, symbolsOf, UNK, Vocabulary } from "./vocabulary.js";

export class Translator {
  constructor(encode, step, config) {
    Object.assign(this, { encode, step, config });
    this.source = new Vocabulary(config.source_vocab, config.source_symbols);
    this.target = new Vocabulary(config.target_vocab, config.target_symbols);
    this.copies = config.copy && this.target.has(UNK); // `<unk>` then stands for a symbol of the source
    this.names = Object.keys(step.spec.inputs).filter((name) => name !== "ids");
  }

  static async open(folder, { arguments: config, graphs }) {
    const [encode, step] = await Promise.all(
      ["encode", "step"].map((name) => Graph.open(`${folder}/${graphs[name].file}`, graphs[name])),
    );
    return new Translator(encode, step, config);
  }

  /** Translates a text. Returns the target's text and, from a model with attention, where it looked. */
  async translate(text) {
    const symbols = symbolsOf(text, this.config, this.source);
    const source = this.source.encode(symbols),
      banned = this.target.banned(this.copies);
    let states = await this.encode.run({ source: row(source), lengths: one(source.length) });
    let id = this.target.ids.get(START);
    const ids = [],
      weights = [];
    while (ids.length < this.config.max_length && id !== this.target.ids.get(END)) {
      const outputs = await this.step.run({ ids: one(id), ...states });
      if (states.seen) weights.push(this.looked(states.seen.data, outputs.new_seen.data));
      states = Object.fromEntries(this.names.map((name) => [name, outputs[`new_${name}`]]));
      ({ id } = choose(outputs.logits.data, banned, 0));
      ids.push(id);
    }
    const named = ids.map((number) => this.target.symbols[number]);
    const alignment = weights.length
      ? { source: source.map((number) => this.source.symbols[number]), target: named, weights }
      : null;
    return { text: this.written(named, symbols, source, weights), alignment };
  }

  /** The weights of a step, in the order of the source. */
  looked(before, now) {
    const weights = Array.from(now, (sum, i) => sum - before[i]);
    return this.config.reverse_source ? weights.reverse() : weights;
  }

  /** The text. A copied `<unk>` is the symbol that was looked at most, of those that are unknown if there are any. */
  written(named, symbols, source, weights) {
    const end = named.indexOf(END),
      unknown = this.source.ids.get(UNK);
    const shown = (end < 0 ? named : named.slice(0, end)).map((symbol, t) => {
      if (!this.copies || symbol !== UNK) return symbol;
      return symbols[argmax(weights[t].map((weight, s) => weight + Number(source[s] === unknown)))];
    });
    return join(shown, this.target.kind);
  }
}
