// The engine that runs exported models in this browser. `server.js` has the same calls.

import { ModelFailure } from "./failure.js";
import { Graph } from "./graph.js";
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
  opened = null; // the name of a model, and the promise of it

  /** Returns the models, as `GET /models` of the server does. */
  async models() {
    const answer = await fetch("models.json");
    if (!answer.ok) throw new ModelFailure("models.json is missing: was the page written by zoo page?");
    return answer.json();
  }

  /** Opens a model: it has the methods of its task. The one before is closed. */
  async open(entry) {
    if (this.opened?.name !== entry.name) {
      this.opened?.runner.then(release, () => {});
      this.opened = { name: entry.name, runner: load(entry) };
    }
    return this.opened.runner;
  }
}

async function load({ task, folder }) {
  const answer = await fetch(`${folder}/config.json`);
  if (!answer.ok) throw new ModelFailure(`${folder}/config.json: ${answer.status} ${answer.statusText}`);
  return RUNNERS[task].open(folder, await answer.json());
}

function release(runner) {
  for (const part of Object.values(runner)) if (part instanceof Graph) part.release();
}
