// Running the ONNX graphs of an exported model with onnxruntime-web, on one thread.

import { pause } from "./dom.js";
import { ModelFailure } from "./failure.js";

const BUSY = 16; // milliseconds after which the browser may draw, and hear clicks

let runtime,
  rested = 0; // when it last could

async function load() {
  const home = new URL("./runtime/", import.meta.url).href;
  const ort = await import(`${home}ort.js`);
  ort.env.wasm.wasmPaths = { wasm: `${home}ort.wasm` };
  ort.env.wasm.numThreads = 1; // more would need headers that many hosts do not send
  ort.env.logLevel = "error";
  return ort;
}

/** A graph: named tensors in, named tensors out. A tensor is `{ data, dims }`, of one row. */
export class Graph {
  constructor(ort, session, spec) {
    Object.assign(this, { ort, session, spec });
    this.turn = Promise.resolve();
  }

  static async open(url, spec) {
    runtime ??= load();
    const [ort, answer] = await Promise.all([runtime, fetch(url)]);
    if (!answer.ok) throw new ModelFailure(`${url}: ${answer.status} ${answer.statusText}`);
    const session = await ort.InferenceSession.create(new Uint8Array(await answer.arrayBuffer()), {
      executionProviders: ["wasm"],
    });
    return new Graph(ort, session, spec);
  }

  /** The names of the state's tensors. */
  get states() {
    return Object.entries(this.spec.inputs).flatMap(([name, input]) => ("first" in input ? [name] : []));
  }

  /** Returns the state before the first step. */
  first() {
    return Object.fromEntries(this.states.map((name) => [name, this.firstOf(this.spec.inputs[name])]));
  }

  firstOf({ shape, first }) {
    const dims = [1, ...shape.slice(1)],
      size = dims.reduce((a, b) => a * b, 1);
    const values = Array.isArray(first) ? first.flat(Infinity) : Array(size).fill(first);
    return { data: Float32Array.from(values), dims };
  }

  /** Runs the graph. Calls wait for each other, as a session does one thing at a time. */
  async run(inputs) {
    const feeds = Object.fromEntries(
      Object.entries(this.spec.inputs).map(([name, spec]) => [name, this.tensor(inputs[name], spec)]),
    );
    const before = this.turn;
    let done;
    this.turn = new Promise((resolve) => (done = resolve));
    await before;
    try {
      if (performance.now() - rested > BUSY) {
        await pause(0);
        rested = performance.now();
      }
      const found = await this.session.run(feeds);
      return Object.fromEntries(
        this.spec.outputs.map((name) => [name, { data: found[name].data, dims: found[name].dims }]),
      );
    } finally {
      done();
    }
  }

  /** Frees the memory, after the runs that wait. */
  async release() {
    await this.turn;
    await this.session.release();
  }

  tensor({ data, dims }, { dtype }) {
    const typed = {
      int64: () => BigInt64Array.from(data, BigInt),
      bool: () => Uint8Array.from(data, Number),
      float32: () => Float32Array.from(data),
    }[dtype]();
    return new this.ort.Tensor(dtype, typed, dims);
  }
}

/** Returns the state after a run, by the names of its inputs. */
export function after(outputs, names) {
  return Object.fromEntries(names.map((name) => [name, outputs[`new_${name}`]]));
}

/** Returns numbers that a model predicted. Throws an error if one is not finite. */
export function finite(numbers) {
  if (!numbers.every(Number.isFinite))
    throw new ModelFailure("The prediction is not finite: the numbers are too large for this model.");
  return numbers;
}

/** Returns a row of ids as a tensor. */
export function row(ids) {
  return { data: ids, dims: [1, ids.length] };
}

/** Returns one number as a tensor of one row. */
export function one(number) {
  return { data: [number], dims: [1] };
}
