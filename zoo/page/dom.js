// Small helpers that make elements.

const SVG = "http://www.w3.org/2000/svg";

/** Makes an element. Attributes that are functions are listeners; `style` is an object; null is left out. */
export function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** Makes an element of a picture. */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name, value);
    else if (name === "style") for (const [key, one] of Object.entries(value)) element.style.setProperty(key, one);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Makes a labelled control. */
export function field(label, control, hint = null) {
  return el("label", { class: "field" }, el("span", { class: "label" }, label), control, hint);
}

/** Makes a slider that shows its value. */
export function slider(label, { min, max, step, value, digits = 0, change = () => {} }) {
  const shown = el("span", { class: "value" }, Number(value).toFixed(digits));
  const update = () => {
    shown.textContent = Number(input.value).toFixed(digits);
    change(Number(input.value));
  };
  const input = el("input", { type: "range", min, max, step, value, input: update });
  return { element: el("label", { class: "field" }, el("span", { class: "label" }, label, " ", shown), input), input };
}

/** Makes a choice between a few values, as a row of radio buttons. */
export function choice(label, values, chosen, change) {
  const name = `choice-${(choice.count = (choice.count ?? 0) + 1)}`;
  const options = Object.entries(values).map(([value, text]) =>
    el(
      "label",
      {},
      el("input", { type: "radio", name, value, checked: value === chosen, change: () => change(value) }),
      el("span", {}, text),
    ),
  );
  return el("fieldset", { class: "choice" }, el("legend", {}, label), options);
}

/** Makes bars of probabilities, the likeliest first. `marked` is drawn in the accent colour. */
export function bars(pairs, { marked = pairs[0]?.[0], show = (name) => name } = {}) {
  return el(
    "ol",
    { class: "bars" },
    pairs.map(([name, chance]) =>
      el(
        "li",
        { class: name === marked ? "marked" : null },
        el("span", { class: "name" }, show(name)),
        el("span", { class: "track" }, el("span", { class: "bar", style: { width: `${100 * chance}%` } })),
        el("span", { class: "figure" }, percent(chance)),
      ),
    ),
  );
}

/** Returns a probability as text. */
export function percent(chance) {
  const value = 100 * chance;
  return `${value >= 99.95 || value < 0.05 ? value.toFixed(0) : value.toFixed(1)}%`;
}

/** Returns a number as text with at most so many digits. */
export function brief(number, digits = 4) {
  return Number(number.toPrecision(digits)).toLocaleString("en", { maximumFractionDigits: 6, useGrouping: false });
}

/** Makes a line that tells what went wrong. */
export function problem() {
  return el("p", { class: "problem", role: "alert" });
}

/** Returns a function that calls another one a little later, and only for the last of many calls. */
export function later(action, wait = 200) {
  let timer;
  const call = (...values) => {
    call.cancel();
    timer = setTimeout(() => action(...values), wait);
  };
  call.cancel = () => clearTimeout(timer);
  return call;
}

/** Waits for some milliseconds. */
export function pause(wait) {
  return new Promise((resolve) => setTimeout(resolve, wait));
}

/** Whether the reader asked for less motion. */
export function calm() {
  return matchMedia("(prefers-reduced-motion: reduce)").matches;
}
