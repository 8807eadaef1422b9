// How the next symbol is chosen: the same rules as zoo/decoding.py.

const COLDEST = 1e-30;

/** Returns the softmax of logits. */
export function softmax(logits) {
  const most = logits.reduce((a, b) => Math.max(a, b), -Infinity);
  const weights = Float64Array.from(logits, (logit) => Math.exp(logit - most));
  const sum = weights.reduce((a, b) => a + b, 0);
  return weights.map((weight) => weight / sum);
}

/** Returns the place of the largest number. */
export function argmax(numbers) {
  let best = 0;
  for (let i = 1; i < numbers.length; i++) if (numbers[i] > numbers[best]) best = i;
  return best;
}

/** Returns the likeliest symbols, as pairs of a symbol and its probability. */
export function likeliest(chances, symbols, count) {
  const order = Array.from(chances, (_, i) => i).sort((a, b) => chances[b] - chances[a] || a - b);
  return order.slice(0, count).map((i) => [symbols[i], chances[i]]);
}

/**
 * Chooses the next symbol.
 *
 * logits: the model's; banned: which ids may not be chosen; temperature: 0 takes the likeliest; uniform: a number in
 * [0, 1) to draw by. Returns the id, and the probabilities that it was chosen from; at temperature 0, the model's own.
 */
export function choose(logits, banned, temperature, uniform) {
  const allowed = logits.map((logit, i) => (banned[i] ? -Infinity : logit));
  const best = argmax(allowed);
  if (!temperature) return { id: best, chances: softmax(allowed) };
  const cold = Math.max(temperature, COLDEST);
  const weights = Float64Array.from(allowed, (logit) =>
    Math.exp(Math.fround(Math.fround(logit - allowed[best]) / Math.fround(cold))),
  );
  const sum = weights.reduce((a, b) => a + b, 0);
  let id = 0;
  for (let up = weights[0]; up <= uniform * sum && id < weights.length - 1; up += weights[id]) id++;
  return { id, chances: weights.map((weight) => weight / sum) };
}
