// Colours of numbers. 0 is no colour: the paper shows through.

const NEGATIVE = "37 110 190",
  POSITIVE = "214 84 20"; // blue and orange, which colour-blind readers tell apart

/** Returns the colour of a number in [-1, 1]. */
export function diverging(value) {
  const strength = Math.min(1, Math.abs(value));
  return `rgb(${value < 0 ? NEGATIVE : POSITIVE} / ${(0.85 * strength).toFixed(3)})`;
}

/** Returns the colour of a number in [0, 1]. */
export function sequential(value) {
  const strength = Math.min(1, Math.max(0, value));
  return `color-mix(in srgb, var(--accent) ${(94 * strength).toFixed(1)}%, transparent)`;
}

/** Whether text on such a colour must be in the colour of the paper. */
export function strong(value) {
  return value > 0.62;
}
