// A tagger in the browser.

import { Graph, one, row } from "./graph.js";
import { argmax, softmax } from "./sampling.js";
import { symbolsOf, Vocabulary } from "./vocabulary.js";

export class Tagger {
  constructor(graph, config) {
    Object.assign(this, { graph, config });
    this.vocabulary = new Vocabulary(config.vocab, config.symbols);
    this.letters = config.spelling_size ? new Vocabulary(config.letters) : null;
  }

  static async open(folder, { arguments: config, graphs }) {
    return new Tagger(await Graph.open(`${folder}/${graphs.sequence.file}`, graphs.sequence), config);
  }

  /** Returns the symbols of a text, the tag of each, and the tags' probabilities. */
  async tag(text) {
    const symbols = symbolsOf(text, this.config, this.vocabulary);
    const ids = this.vocabulary.encode(symbols);
    const { logits } = await this.graph.run({
      ids: row(ids),
      lengths: one(ids.length),
      ...(this.letters && { letters: this.spelled(symbols) }),
      ...this.graph.first(),
    });
    const size = this.config.tags.length,
      tags = [],
      probabilities = [];
    for (let i = 0; i < ids.length; i++) {
      const chances = softmax(logits.data.slice(i * size, (i + 1) * size)),
        best = argmax(chances);
      tags.push(this.config.tags[best]);
      probabilities.push(chances[best]);
    }
    return { symbols, tags, probabilities };
  }

  /** The letters of each word, padded with 0. */
  spelled(symbols) {
    const words = symbols.map((word) => this.letters.encode([...word]));
    const most = Math.max(...words.map((word) => word.length));
    return {
      data: words.flatMap((word) => [...word, ...Array(most - word.length).fill(0)]),
      dims: [1, words.length, most],
    };
  }
}
