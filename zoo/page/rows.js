// Numbers as a reader types them: a line of them for each step.

import { ModelFailure } from "./failure.js";

/** Returns the numbers of a text, a list for each line. What is no number is NaN. */
export function parse(text) {
  const lines = text.trim().split("\n");
  return lines.map((line) =>
    line
      .split(/[\s,;]+/)
      .filter(Boolean)
      .map(Number),
  );
}

/** Throws an error if a model can't read some rows: see `zoo.methods.regressor`. */
export function check(rows, { num_steps: steps, input_size: size }) {
  if (rows.some((row) => row.length !== size || row.some(Number.isNaN)))
    throw new ModelFailure(`Each step needs ${size === 1 ? "a number" : `${size} numbers`}.`);
  if (rows.some((row) => !row.every((value) => Number.isFinite(Math.fround(value)))))
    throw new ModelFailure("A number is too large for this model.");
  if (steps && rows.length !== steps) throw new ModelFailure(`It reads ${steps} steps, and got ${rows.length}.`);
}
