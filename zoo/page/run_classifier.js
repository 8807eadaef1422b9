// A classifier in the browser. If its graph has a state, it reads step by step, and has an answer after each.

import { ModelFailure } from "./failure.js";
import { after, finite, Graph, one, row } from "./graph.js";
import { argmax, softmax } from "./sampling.js";
import { symbolsOf, Vocabulary } from "./vocabulary.js";

export class Classifier {
  constructor(graph, config) {
    Object.assign(this, { graph, config });
    this.vocabulary = config.vocab && new Vocabulary(config.vocab, config.symbols);
    this.stepwise = graph.states.length > 0;
  }

  static async open(folder, { arguments: config, graphs }) {
    return new Classifier(await Graph.open(`${folder}/${graphs.sequence.file}`, graphs.sequence), config);
  }

  /** Classifies a text, or T lists of D numbers: the answers after each step, or the last one alone. */
  async classify(input) {
    const steps = this.vocabulary ? this.vocabulary.encode(symbolsOf(input, this.config, this.vocabulary)) : input;
    const most = this.config.max_length ?? steps.length,
      wanted = this.config.num_steps;
    if (wanted && steps.length !== wanted) throw new ModelFailure(`It reads ${wanted} steps, and got ${steps.length}.`);
    const read = steps.slice(0, most);
    if (!this.stepwise) return [this.answer(await this.graph.run({ ...this.inputs(read), lengths: one(read.length) }))];
    const found = [];
    let states = this.graph.first();
    for (const step of read) {
      const outputs = await this.graph.run({ ...this.inputs([step]), lengths: one(1), ...states });
      states = after(outputs, this.graph.states);
      found.push(this.answer(outputs));
    }
    return found;
  }

  inputs(steps) {
    if (this.vocabulary) return { inputs: row(steps) };
    return { inputs: { data: steps.flat(), dims: [1, steps.length, this.config.input_size] } };
  }

  answer({ logits }) {
    const chances = softmax(finite(logits.data)),
      best = argmax(chances),
      { classes } = this.config;
    return {
      label: classes[best],
      probability: chances[best],
      probabilities: Object.fromEntries(classes.map((name, i) => [name, chances[i]])),
    };
  }
}
