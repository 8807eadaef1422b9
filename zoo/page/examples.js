// What a visitor sees first: an input for each config of the package, and one for other models.

import { following, parse, show } from "./times.js";

const SENTENCE = "i can't explain myself i'm afraid said alice because i'm not myself you see";
const CO2 = {
  times: Array.from({ length: 24 }, (_, i) => `${2000 + Math.floor(i / 12)}-${String((i % 12) + 1).padStart(2, "0")}`),
  rows: [
    369.02,
    369.38,
    370.4,
    371.54,
    371.65,
    371.62,
    369.94,
    367.95,
    366.54,
    366.73,
    368.12,
    369.44, // 2000
    370.18,
    371.33,
    372.06,
    372.78,
    373.8,
    373.06,
    371.3,
    369.43,
    367.88,
    368.05,
    369.38,
    371.02, // 2001
  ].map((value) => [value]),
};
const ADDING = Array.from({ length: 100 }, (_, i) => [
  ((i * i * 7 + i * 37 + 11) % 101) / 100,
  Number(i === 20 || i === 70),
]);

/** Inputs by the name of a config; models of one config are alike. */
const KNOWN = {
  alice_lstm: "alice was",
  alice_lstm_heldout: "alice was",
  alice_best: "alice was",
  alice_qrnn: "alice was",
  grimm_lstm: "The king",
  grimm_gru: "The king",
  copy_min_gru: "....................b.........ea...............b:",
  four_letter_words: "wor",
  words_gutenberg: "wor",
  parity_slstm: "0110100110010110",
  permutations_m_lstm: "bcbcfad",
  toy_en_ko: "love",
  addition: "123+45",
  addition_attention: "123+456",
  reverse: "abcdefgh",
  g2p_en: "photograph",
  punctuation: SENTENCE,
  three_steps: { rows: [[25], [35], [45]] },
  adding_lem: { rows: ADDING },
  co2: CO2,
};

/** How a language model writes at first. The texts of some end after a few symbols. */
const SETTINGS = { copy_min_gru: { temperature: 0, length: 4 } };

/** Returns the first settings of a language model. */
export function settings({ about }) {
  return SETTINGS[about?.config] ?? { temperature: 0.5, length: 300 };
}

/** Returns the example of a model, or undefined. */
export function known({ about }) {
  return KNOWN[about?.config];
}

/** Returns a text that a model can read: the example, or some of its symbols. */
export function text(entry, symbols, steps = 6, kind = "characters") {
  const found = known(entry);
  if (typeof found === "string") return found;
  const letters = symbols.filter((symbol) => !/^<.*>$/.test(symbol) && symbol.trim());
  return Array.from({ length: Math.min(steps, 12) }, (_, i) => letters[(i * 7 + 3) % letters.length]).join(
    kind === "words" ? " " : "",
  );
}

/** Returns the numbers of a regressor's example: `rows`, a list for each step, and `times` or null. */
export function numbers(entry) {
  const found = known(entry),
    { num_steps, input_size, mean, scale, freq } = entry.arguments;
  if (found?.rows?.length === (num_steps ?? found?.rows?.length) && found) return { times: null, ...found };
  const of = (values, place) => (Array.isArray(values) ? values[place] : values) ?? 0;
  const wave = (i, place) => of(mean, place) + (of(scale, place) || 1) * Math.sin(i / 2 + place);
  const rows = Array.from({ length: num_steps ?? 24 }, (_, i) =>
    Array.from({ length: input_size }, (_, place) => wave(i, place)),
  );
  const times = freq ? timesFrom("2024-01-01", freq, rows.length) : null;
  return { times, rows: rows.map((row) => row.map((value) => Number(value.toPrecision(5)))) };
}

/** Returns times in steps of `freq`, as texts. */
export function timesFrom(first, freq, count) {
  const start = parse(first);
  return [start, ...following([start], freq, count - 1)].map((time) => show(time, freq));
}
