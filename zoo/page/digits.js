// Drawings of digits, made as those of MNIST were: in a box of 20 x 20 pixels, its centre of mass in the middle of 28.

export const SIZE = 28;
const BOX = 20;

/** Strokes of ten digits in a square of 100, for visitors who would rather watch. */
export const STROKES = [
  "M52 12 C26 12 22 38 22 52 C22 76 34 90 50 90 C70 90 78 70 78 48 C78 28 70 12 50 12",
  "M58 12 L46 90",
  "M26 30 C28 8 72 6 72 32 C72 52 42 68 26 86 L78 84",
  "M28 20 C40 6 72 8 70 28 C69 44 50 47 44 47 C60 47 76 54 74 70 C72 92 36 94 24 80",
  "M34 14 L26 54 L76 52 M68 16 L60 90",
  "M74 14 L38 15 L33 46 C48 38 76 44 74 66 C72 92 36 92 26 80",
  "M62 12 C40 26 26 48 28 68 C30 94 70 94 70 70 C70 50 40 48 30 68",
  "M24 17 L76 15 C62 40 52 62 44 90",
  "M52 48 C26 38 28 12 50 12 C74 12 74 36 52 48 C22 60 24 90 50 90 C76 90 78 60 52 48",
  "M70 32 C66 10 30 10 30 34 C30 54 64 54 70 32 C70 56 66 74 58 90",
];

/**
 * Centres and scales a drawing.
 *
 * ink: of a square of `side` pixels, row by row, each from 0 to 255. Returns 28 rows of 28 numbers in [0, 1], or null
 * if nothing is drawn.
 */
export function centred(ink, side) {
  const box = bounds(ink, side);
  if (!box) return null;
  const scale = Math.max(box.right - box.left, box.bottom - box.top) / BOX; // pixels of the drawing in one of the picture
  const left = box.x - (SIZE / 2) * scale,
    top = box.y - (SIZE / 2) * scale;
  return Array.from({ length: SIZE }, (_, r) =>
    Array.from({ length: SIZE }, (_, c) => average(ink, side, left + c * scale, top + r * scale, scale)),
  );
}

/** The edges of what is drawn, and its centre of mass. */
function bounds(ink, side) {
  const found = { left: side, right: 0, top: side, bottom: 0, x: 0, y: 0 };
  let mass = 0;
  for (let i = 0; i < ink.length; i++) {
    if (!ink[i]) continue;
    const x = i % side,
      y = Math.floor(i / side);
    found.left = Math.min(found.left, x);
    found.right = Math.max(found.right, x + 1);
    found.top = Math.min(found.top, y);
    found.bottom = Math.max(found.bottom, y + 1);
    found.x += (x + 0.5) * ink[i];
    found.y += (y + 0.5) * ink[i];
    mass += ink[i];
  }
  return mass ? { ...found, x: found.x / mass, y: found.y / mass } : null;
}

/** The mean ink of a square of `size` pixels. */
function average(ink, side, left, top, size) {
  let sum = 0;
  for (let y = Math.floor(top); y < top + size; y++) {
    const high = Math.min(y + 1, top + size) - Math.max(y, top);
    for (let x = Math.floor(left); x < left + size; x++) {
      if (x < 0 || y < 0 || x >= side || y >= side) continue;
      sum += ink[y * side + x] * high * (Math.min(x + 1, left + size) - Math.max(x, left));
    }
  }
  return sum / (size * size * 255);
}
