// The engine that runs exported models in this browser. `server.js` has the same calls.

import { ModelFailure } from "./failure.js";
import { CharLM } from "./run_char_lm.js";
import { Classifier } from "./run_classifier.js";
import { Regressor } from "./run_regressor.js";
import { Tagger } from "./run_tagger.js";
import { Translator } from "./run_translator.js";

const RUNNERS = {
  char_lm: CharLM,
  seq_classifier: Classifier,
  seq_tagger: Tagger,
  seq2seq: Translator,
  regressor: Regressor,
};

export class BrowserEngine {
  constructor() {
    this.runners = new Map();
  }

  /** Returns the models, as `GET /models` of the server does. */
  async models() {
    const answer = await fetch("models.json");
    if (!answer.ok) throw new ModelFailure("models.json is missing: was the page written by zoo page?");
    return answer.json();
  }

  /** Opens a model: it has the methods of its task. */
  async open({ name, task, folder }) {
    if (!this.runners.has(name)) {
      const answer = await fetch(`${folder}/config.json`);
      if (!answer.ok) throw new ModelFailure(`${folder}/config.json: ${answer.status} ${answer.statusText}`);
      const config = await answer.json();
      this.runners.set(name, await RUNNERS[task].open(folder, config));
    }
    return this.runners.get(name);
  }
}
