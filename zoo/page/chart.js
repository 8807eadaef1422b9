// A chart of a window of numbers and what is forecast after it. Points of the window can be moved.

import { brief, svg } from "./dom.js";

const HEIGHT = 340,
  LEFT = 56,
  RIGHT = 16,
  TOP = 16,
  BOTTOM = 34;
const TICKS = 5;

/**
 * Draws a chart.
 *
 * width: in pixels; window: T numbers; forecast: H numbers; band: [low, high], each H numbers, or null; labels: T + H
 * texts; move: is called with a place, its new value and the distance of two marks, or null.
 */
export function chart({ width, window, forecast, band = null, labels, move = null, label }) {
  const values = [...window, ...forecast, ...(band ? band.flat() : [])];
  const [low, high, step] = scale(Math.min(...values), Math.max(...values));
  const count = window.length + forecast.length;
  const x = (i) => LEFT + ((width - LEFT - RIGHT) * (i + 0.5)) / count;
  const y = (value) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - (value - low) / (high - low));
  const line = (numbers, from) => numbers.map((value, i) => `${i ? "L" : "M"}${x(from + i)} ${y(value)}`).join("");
  const joined = (numbers) => [window.at(-1), ...numbers],
    last = window.length - 1;
  const ticks = Array.from({ length: Math.round((high - low) / step) + 1 }, (_, i) => low + i * step);
  const picture = svg(
    "svg",
    { class: "chart", viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": label },
    ticks
      .map((value) => [
        svg("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y(value), y2: y(value) }),
        svg("text", { class: "tick", x: LEFT - 8, y: y(value) + 4, "text-anchor": "end" }, brief(value, 5)),
      ])
      .flat(),
    places(labels, count, width).map((i) =>
      svg("text", { class: "tick", y: HEIGHT - 10, ...anchored(x(i), labels[i]) }, labels[i]),
    ),
    svg("line", { class: "now", x1: x(last + 0.5), x2: x(last + 0.5), y1: TOP, y2: HEIGHT - BOTTOM }),
    band &&
      svg("path", {
        class: "band",
        d: `${line(joined(band[1]), last)}${line(joined(band[0]), last)
          .split(/(?=[ML])/)
          .reverse()
          .map((point) => `L${point.slice(1)}`)
          .join("")}Z`,
      }),
    svg("path", { class: "window", d: line(window, 0) }),
    svg("path", { class: "forecast", d: line(joined(forecast), last) }),
    forecast.map((value, i) =>
      dot("forecast", x(last + 1 + i), y(value), `${labels[last + 1 + i]}: ${brief(value, 6)}`),
    ),
    window.map((value, i) => movable(dot("window", x(i), y(value), `${labels[i]}: ${brief(value, 6)}`), i)),
  );
  return picture;

  /** In the middle of its place, or ending at the edge. */
  function anchored(at, text) {
    return at + 4 * text.length > width ? { x: width, "text-anchor": "end" } : { x: at, "text-anchor": "middle" };
  }

  function movable(element, place) {
    if (!move) return element;
    element.classList.add("movable");
    element.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      const { top, height } = picture.getBoundingClientRect();
      const drag = ({ clientY }) => {
        const at = ((clientY - top) * HEIGHT) / height;
        move(place, low + (high - low) * (1 - (at - TOP) / (HEIGHT - TOP - BOTTOM)), step);
      };
      const end = () => {
        removeEventListener("pointermove", drag);
        removeEventListener("pointerup", end);
        removeEventListener("pointercancel", end);
      };
      addEventListener("pointermove", drag);
      addEventListener("pointerup", end);
      addEventListener("pointercancel", end);
    });
    return element;
  }
}

function dot(kind, cx, cy, title) {
  return svg(
    "g",
    { class: `dot ${kind}` },
    svg("circle", { cx, cy, r: 11, class: "reach" }),
    svg("circle", { cx, cy, r: 3.5 }),
    svg("title", {}, title),
  );
}

/** Round limits of an axis, and the distance of its marks. */
function scale(least, most) {
  const range = most - least || Math.abs(most) || 1,
    rough = range / TICKS;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 2.5, 5, 10].find((factor) => factor * power >= rough);
  return [Math.floor((least - range * 0.04) / step) * step, Math.ceil((most + range * 0.04) / step) * step, step];
}

/** Which of the labels are shown. */
function places(labels, count, width) {
  const every = Math.max(1, Math.ceil((count * Math.max(...labels.map((label) => label.length * 10 + 20))) / width));
  return Array.from({ length: count }, (_, i) => i).filter((i) => i % every === 0 && labels[i]);
}
