// Digits: draw one, and watch a network read it row by row.

import { sequential, strong } from "./colours.js";
import { centred, SIZE, STROKES } from "./digits.js";
import { bars, calm, el, later, pause, percent, problem, svg } from "./dom.js";

const SIDE = 280; // pixels of the drawing
const ROWS_A_SECOND = 14;

export function show(entry, runner, root) {
  const view = new DigitsView(entry.arguments.classes, runner);
  root.append(view.element);
  view.sketch(3);
  return () => view.close();
}

class DigitsView {
  constructor(classes, runner) {
    Object.assign(this, { classes, runner, turn: 0, answers: [], image: null });
    this.canvas = el("canvas", {
      class: "drawing",
      width: SIDE,
      height: SIDE,
      role: "img",
      "aria-label": "Draw a digit here. Without a pointer, choose one of the digits below.",
    });
    this.pen = this.canvas.getContext("2d", { willReadFrequently: true });
    this.seen = el("canvas", {
      class: "seen",
      width: SIZE,
      height: SIZE,
      role: "img",
      "aria-label": "What the network sees",
    });
    this.line = el("span", { class: "line" });
    this.heat = el("div", { class: "heat", role: "img" });
    this.heat.style.setProperty("--classes", classes.length);
    this.verdict = el("p", { class: "verdict", "aria-live": "polite" });
    this.chances = el("div", { class: "chances" });
    this.rows = el("input", {
      type: "range",
      min: 1,
      max: SIZE,
      value: SIZE,
      "aria-label": "Rows that were read",
      input: () => this.scrub(),
    });
    this.problem = problem();
    this.element = this.layout();
    this.listen();
  }

  layout() {
    const sketches = STROKES.map((_, digit) =>
      el(
        "button",
        { type: "button", class: "quiet", "aria-label": `Draw a ${digit}`, click: () => this.sketch(digit) },
        String(digit),
      ),
    );
    return el(
      "div",
      { class: "digits" },
      el(
        "section",
        { class: "card draw" },
        el("h2", {}, "Draw a digit"),
        this.canvas,
        el(
          "div",
          { class: "row" },
          el("button", { type: "button", click: () => this.clear() }, "Clear"),
          el("span", { class: "note" }, "or have one drawn"),
          el("div", { class: "sketches", role: "group", "aria-label": "Or have one drawn" }, sketches),
        ),
      ),
      el(
        "section",
        { class: "card reading" },
        el("h2", {}, "It is read row by row"),
        el(
          "div",
          { class: "side" },
          el(
            "figure",
            {},
            el("figcaption", {}, "what the network sees"),
            el("div", { class: "framed" }, this.seen, this.line),
          ),
          el("figure", {}, el("figcaption", {}, "what it thinks after each row"), this.heat, this.labels()),
        ),
        el("label", { class: "field" }, el("span", { class: "label" }, "Rows read"), this.rows),
      ),
      el("section", { class: "card answer" }, el("h2", {}, "It answers"), this.verdict, this.chances, this.problem),
    );
  }

  labels() {
    return el(
      "div",
      { class: "heat-labels", "aria-hidden": "true" },
      this.classes.map((name) => el("span", {}, name)),
    );
  }

  listen() {
    const read = later(() => this.read(), 300);
    let last = null;
    const place = (event) => {
      const { left, top, width } = this.canvas.getBoundingClientRect();
      return [((event.clientX - left) * SIDE) / width, ((event.clientY - top) * SIDE) / width];
    };
    this.canvas.addEventListener("pointerdown", (event) => {
      this.canvas.setPointerCapture(event.pointerId);
      if (this.sketched) this.clear();
      this.turn++;
      last = place(event);
      this.stroke(last, last);
    });
    this.canvas.addEventListener("pointermove", (event) => {
      if (!last) return;
      const now = place(event);
      this.stroke(last, now);
      last = now;
    });
    for (const end of ["pointerup", "pointercancel"])
      this.canvas.addEventListener(end, () => {
        if (last) read();
        last = null;
      });
  }

  stroke([x, y], [toX, toY]) {
    Object.assign(this.pen, { strokeStyle: "#fff", lineWidth: SIDE / 13, lineCap: "round", lineJoin: "round" });
    this.pen.beginPath();
    this.pen.moveTo(x, y);
    this.pen.lineTo(toX, toY + 0.01);
    this.pen.stroke();
  }

  clear() {
    this.turn++;
    this.sketched = false;
    this.pen.clearRect(0, 0, SIDE, SIDE);
    this.image = null;
    this.answers = [];
    this.draw(0);
  }

  /** Draws a digit, as a hand would. */
  async sketch(digit) {
    this.clear();
    const turn = this.turn;
    this.sketched = true;
    for (const part of STROKES[digit].split(/(?=M)/)) {
      const path = svg("path", { d: part }),
        length = path.getTotalLength();
      for (let at = 0; at < length; at += 4) {
        const points = [at, Math.min(length, at + 4)].map((one) => path.getPointAtLength(one));
        this.stroke(...points.map(({ x, y }) => [(x * SIDE) / 100, (y * SIDE) / 100]));
        if (!calm() && at % 8 === 0) await pause(12);
        if (turn !== this.turn) return;
      }
    }
    await this.read();
  }

  /** Classifies the drawing, and shows row after row. */
  async read() {
    const turn = ++this.turn;
    const { data } = this.pen.getImageData(0, 0, SIDE, SIDE);
    this.image = centred(
      Uint8Array.from({ length: SIDE * SIDE }, (_, i) => data[4 * i + 3]),
      SIDE,
    );
    if (!this.image) return;
    try {
      const answers = await this.runner.classify(this.image);
      if (turn !== this.turn) return;
      this.answers = answers;
      this.problem.textContent = "";
      for (let row = 1; row < SIZE && !calm() && answers.length === SIZE; row++) {
        this.draw(row);
        await pause(1000 / ROWS_A_SECOND);
        if (turn !== this.turn) return;
      }
      this.draw(SIZE);
    } catch (error) {
      if (turn === this.turn) this.problem.textContent = error.message;
    }
  }

  scrub() {
    this.turn++;
    this.draw(Number(this.rows.value));
  }

  /** Shows what is known after some rows. */
  draw(rows) {
    const answer = this.answers.length === SIZE ? this.answers[rows - 1] : rows && this.answers[0];
    this.rows.value = rows || SIZE;
    this.rows.disabled = this.answers.length !== SIZE;
    this.drawSeen(rows);
    this.drawHeat(rows);
    this.line.hidden = !rows || rows === SIZE;
    this.line.style.setProperty("top", `${(100 * rows) / SIZE}%`);
    const chances = this.classes.map((name) => [name, answer ? answer.probabilities[name] : 0]);
    this.chances.replaceChildren(bars(chances, { marked: answer?.label }));
    const done = rows === SIZE && answer;
    this.verdict.classList.toggle("final", Boolean(done));
    this.verdict.replaceChildren(
      el("span", { class: "big" }, answer ? answer.label : "\u2013"),
      el(
        "span",
        { class: "under" },
        answer ? `${percent(answer.probability)}${done ? "" : `, after ${rows} rows`}` : "draw a digit",
      ),
    );
    this.verdict.setAttribute("aria-live", done ? "polite" : "off");
  }

  drawSeen(rows) {
    const pen = this.seen.getContext("2d"),
      picture = pen.createImageData(SIZE, SIZE);
    for (let i = 0; i < SIZE * SIZE; i++) {
      const row = Math.floor(i / SIZE),
        ink = this.image ? this.image[row][i % SIZE] : 0;
      const light = row < rows ? ink : 0.28 * ink;
      picture.data.set([light * 255, light * 255, light * 255, 255], 4 * i);
    }
    pen.putImageData(picture, 0, 0);
  }

  drawHeat(rows) {
    const known = this.answers.length === SIZE ? this.answers : [];
    this.heat.replaceChildren(
      ...known.flatMap((answer, row) =>
        this.classes.map((name) => {
          const chance = row < rows ? answer.probabilities[name] : 0;
          return el("span", { class: strong(chance) ? "strong" : null, style: { background: sequential(chance) } });
        }),
      ),
    );
    this.heat.setAttribute(
      "aria-label",
      known.length ? `After ${rows} rows, ${known[Math.max(0, rows - 1)].label}` : "No drawing yet",
    );
  }

  close() {
    this.turn++;
  }
}
