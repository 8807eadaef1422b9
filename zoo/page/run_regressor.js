// A regressor in the browser.

import { ModelFailure } from "./failure.js";
import { finite, Graph } from "./graph.js";
import { following, parse, show } from "./times.js";

export class Regressor {
  constructor(graph, config) {
    Object.assign(this, { graph, config });
  }

  static async open(folder, { arguments: config, graphs }) {
    return new Regressor(await Graph.open(`${folder}/${graphs.sequence.file}`, graphs.sequence), config);
  }

  /** Predicts what follows T lists of D numbers: H lists of K values. */
  async values(sequence) {
    const { dims, data } = await this.quantiles(sequence);
    return this.nested(data, dims, this.median);
  }

  /** Forecasts what follows the last rows of a table, whose times are texts or null: see `POST forecast`. */
  async forecast({ table, times }) {
    const {
      input_columns: inputs,
      target_columns: targets,
      quantiles: levels,
      num_steps,
      freq,
      horizon,
      calendar,
    } = this.config;
    const rows = num_steps ?? table[inputs[0]].length;
    const sequence = Array.from({ length: rows }, (_, i) => inputs.map((name) => table[name].at(i - rows)));
    const known = times?.slice(-rows).map(parse);
    if (calendar.length && !known) throw new ModelFailure("This model needs times for its calendar.");
    const future = known && freq ? following(known, freq, horizon) : null;
    const { dims, data } = await this.quantiles(sequence, calendar.length ? [...known, ...future] : null);
    const column = (level, place) => this.nested(data, dims, level).map((step) => step[place]);
    return {
      times: future?.map((time) => show(time, freq)) ?? null,
      values: Object.fromEntries(targets.map((name, place) => [name, column(this.median, place)])),
      quantiles: Object.fromEntries(
        targets.map((name, place) => [name, Object.fromEntries(levels.map((level, i) => [level, column(i, place)]))]),
      ),
    };
  }

  get median() {
    return Math.max(0, this.config.quantiles.indexOf(0.5));
  }

  async quantiles(sequence, times = null) {
    const inputs = { data: sequence.flat(), dims: [1, sequence.length, this.config.input_size] };
    const seconds = times && { data: times.map((time) => Math.floor(time.getTime() / 1000)), dims: [1, times.length] };
    const { quantiles } = await this.graph.run({
      inputs,
      ...(seconds && { times: seconds }),
      ...this.graph.first(),
    });
    finite(quantiles.data);
    return quantiles;
  }

  /** One of the quantiles (1, H, K, Q), as H lists of K numbers. */
  nested(data, [, steps, targets, levels], level) {
    return Array.from({ length: steps }, (_, h) =>
      Array.from({ length: targets }, (_, k) => data[(h * targets + k) * levels + level]),
    );
  }
}
