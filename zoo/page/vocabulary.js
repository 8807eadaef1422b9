// Symbols and their ids: the same rules as zoo/symbols.py and zoo/vocab.py, for characters, bytes and words.

import { ModelFailure } from "./failure.js";

export const PAD = "<pad>",
  START = "<start>",
  END = "<end>",
  UNK = "<unk>";
const SPECIALS = new Set([PAD, START, END, UNK]);
const GLUE = "\u2060"; // Unicode's word joiner: no space here
const SPACE = "[^\\S\\ufeff]|[\\x1c-\\x1f\\x85]"; // what Python calls white space
const LETTER = "[\\p{L}\\p{N}_]";
const WORD = new RegExp(`${LETTER}+(?:['\\u2019]${LETTER}+)*|${SPACE}|[^\\p{L}\\p{N}_]`, "gu");
const BLANK = new RegExp(`^(?:${SPACE})+$`, "u");
const OPENING = new Set("([{\u00ab\u201c\u2018\u00a1\u00bf");
const CLOSING = new Set(")]}\u00bb\u201d\u2019.,;:!?%\u2026");
const BLANKS = [" ", "\n"]; // what an empty prompt stands for
const LONGEST = 5000; // symbols of a text: reading them takes seconds, and a language model shows each of them

/** Returns a text as the model reads it. */
export function clean(text, { lowercase, normalization }) {
  const normal = normalization ? text.normalize(normalization) : text;
  return lowercase ? normal.toLowerCase() : normal;
}

/** Returns the symbols of a text. */
export function split(text, kind) {
  if (kind === "words") return splitWords(text);
  if (kind === "bytes") return [...new TextEncoder().encode(text)].map((byte) => String.fromCharCode(byte));
  return [...text];
}

function splitWords(text) {
  const found = [];
  let last = "",
    gap = true; // whether there was a space since the last symbol; at the start, nothing is usual
  for (const [piece] of text.matchAll(WORD)) {
    if (piece === " " && last && !gap && spacing(last).after) {
      gap = true;
      continue;
    }
    const usual = last !== "" && spacing(last).after && spacing(piece).before;
    if (gap && last && !usual)
      found.push(" "); // a space where none is usual
    else if (!gap && usual) found.push(GLUE);
    found.push(piece);
    last = piece;
    gap = false;
  }
  if (gap && last) found.push(" ");
  return found;
}

/** Whether a space is usual before a word, and after it. */
function spacing(symbol) {
  if (symbol === UNK) return { before: true, after: true };
  if (SPECIALS.has(symbol) || symbol === GLUE || BLANK.test(symbol)) return { before: false, after: false };
  return { before: !CLOSING.has(symbol), after: !OPENING.has(symbol) };
}

/** Joins symbols that come one by one. */
export class Joiner {
  constructor(kind, before = "") {
    this.kind = kind;
    this.last = before;
    this.decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  }

  /** Returns what the next symbol adds to the text: nothing for a part of a character. */
  add(symbol) {
    if (this.kind === "characters") return symbol;
    if (this.kind === "words") {
      const space = this.last && spacing(this.last).after && spacing(symbol).before ? " " : "";
      this.last = symbol;
      return space + (symbol === GLUE ? "" : symbol);
    }
    if (SPECIALS.has(symbol)) return this.decoder.decode() + symbol;
    return this.decoder.decode(Uint8Array.of(symbol.charCodeAt(0)), { stream: true });
  }

  /** Returns the rest: a replacement character if the text ends within a character. */
  end() {
    return this.kind === "bytes" ? this.decoder.decode() : "";
  }
}

/** Returns the text of some symbols. */
export function join(symbols, kind) {
  const joiner = new Joiner(kind);
  return symbols.map((symbol) => joiner.add(symbol)).join("") + joiner.end();
}

/** An ordered set of symbols. */
export class Vocabulary {
  constructor(symbols, kind = "characters") {
    this.symbols = symbols;
    this.kind = kind;
    this.ids = new Map(symbols.map((symbol, id) => [symbol, id]));
  }

  get size() {
    return this.symbols.length;
  }

  has(symbol) {
    return this.ids.has(symbol);
  }

  split(text) {
    return split(text, this.kind);
  }

  /** Returns the ids of symbols. Throws an error about the first unknown one, unless the vocabulary has `<unk>`. */
  encode(symbols) {
    return symbols.map((symbol) => {
      const id = this.ids.get(symbol) ?? this.ids.get(UNK);
      if (id === undefined) throw new ModelFailure(`This model does not know ${quoted(symbol)}. ${this.known()}`);
      return id;
    });
  }

  /** Says which symbols there are. */
  known() {
    const shown = this.symbols.filter((symbol) => !SPECIALS.has(symbol)).map(visible);
    return shown.length > 60 ? `It knows ${shown.length} symbols.` : `It knows ${shown.join(" ")}`;
  }

  /** The id that an empty prompt stands for. */
  blank() {
    return this.ids.get(BLANKS.find((symbol) => this.has(symbol))) ?? 0;
  }

  /** Which ids are never chosen: see `zoo.methods.texts.sampling_of`. */
  banned(unknown = false) {
    const never = new Uint8Array(this.size);
    if (!this.has(UNK)) return never;
    for (const symbol of unknown ? [PAD, START] : [UNK, PAD, START])
      if (this.has(symbol)) never[this.ids.get(symbol)] = 1;
    return never;
  }
}

/**
 * Returns the symbols of a typed text, as a model splits it. Throws an error if there are none or too many, or if one is
 * unknown. Both engines call it, so that their errors are alike.
 */
export function symbolsOf(text, config, vocabulary) {
  const cleaned = clean(text, config);
  const spaced = config.tags && vocabulary.kind === "words";
  const symbols = spaced ? cleaned.split(/\s+/u).filter(Boolean) : vocabulary.split(cleaned);
  if (!symbols.length) throw new ModelFailure("Type at least one symbol.");
  if (symbols.length > LONGEST)
    throw new ModelFailure(`This text has ${symbols.length} symbols. This page reads at most ${LONGEST}.`);
  if (vocabulary.kind !== "bpe") vocabulary.encode(symbols); // only the server splits bpe
  return symbols;
}

/** Returns a symbol as it can be seen. */
export function visible(symbol) {
  return symbol.replaceAll(" ", "\u2423").replaceAll("\n", "\u21b5").replaceAll("\t", "\u21e5");
}

function quoted(symbol) {
  return `\u201c${visible(symbol)}\u201d`;
}
