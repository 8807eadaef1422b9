// The random numbers of NumPy's `default_rng([seed, row])`, so that a seed gives the same text here and in Python.
//
// O'Neill's PCG64 (XSL RR 128/64), seeded by NumPy's SeedSequence.

const MULTIPLIER = (2549297995355413924n << 64n) | 4865540595714422341n;
const MASK64 = (1n << 64n) - 1n,
  MASK128 = (1n << 128n) - 1n;
const POOL = 4;

/** Returns a function that gives the next number in [0, 1). */
export function generator(seed, row = 0) {
  const words = seedState([...uint32s(seed), ...uint32s(row)], 8);
  const [a, b, c, d] = [0, 2, 4, 6].map((i) => BigInt(words[i]) | (BigInt(words[i + 1]) << 32n));
  const increment = ((((c << 64n) | d) << 1n) | 1n) & MASK128;
  const step = (state) => (state * MULTIPLIER + increment) & MASK128;
  let state = step((increment + ((a << 64n) | b)) & MASK128);
  return () => {
    state = step(state);
    const mixed = (state >> 64n) ^ (state & MASK64),
      turn = state >> 122n;
    const number = ((mixed >> turn) | (mixed << (64n - turn))) & MASK64;
    return Number(number >> 11n) * 2 ** -53;
  };
}

function uint32s(number) {
  const words = [];
  for (let rest = BigInt(number); rest > 0n || !words.length; rest >>= 32n) words.push(Number(rest & 0xffffffffn));
  return words;
}

/** NumPy's SeedSequence: mixes words of entropy, and makes `count` words of a state of them. */
function seedState(entropy, count) {
  let constant = 0x43b0d7e5;
  const hash = (value) => {
    value ^= constant;
    constant = Math.imul(constant, 0x931e8875);
    value = Math.imul(value, constant);
    return value ^ (value >>> 16);
  };
  const mix = (x, y) => {
    const value = Math.imul(0xca01f9dd, x) - Math.imul(0x4973f715, y);
    return value ^ (value >>> 16);
  };
  const pool = Array.from({ length: POOL }, (_, i) => hash(entropy[i] ?? 0));
  for (let from = 0; from < POOL; from++)
    for (let to = 0; to < POOL; to++) if (from !== to) pool[to] = mix(pool[to], hash(pool[from]));
  for (const word of entropy.slice(POOL)) for (let to = 0; to < POOL; to++) pool[to] = mix(pool[to], hash(word));
  let second = 0x8b51f9dd;
  return Array.from({ length: count }, (_, i) => {
    let value = pool[i % POOL] ^ second;
    second = Math.imul(second, 0x58f38ded);
    value = Math.imul(value, second);
    return (value ^ (value >>> 16)) >>> 0;
  });
}
