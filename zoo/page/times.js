// Times of a forecast: see zoo/methods/times.py. All times are UTC.

import { ModelFailure } from "./failure.js";

const SECONDS = { second: 1, minute: 60, hour: 3600, day: 86400 };

/** Converts a text such as 2001-12 or 2001-12-31 13:00 to a Date. */
export function parse(text) {
  const [day, clock = "00:00"] = text.trim().split(/[ T]/);
  const date = new Date(`${day.length === 7 ? `${day}-01` : day}T${clock}Z`);
  if (Number.isNaN(date.getTime())) throw new ModelFailure(`${text}: expected a date such as 2024-01-31`);
  return date;
}

/** Returns the times after the last of some times, as Dates. */
export function following(times, freq, count) {
  const [size, name] = freq.split(" "),
    unit = name.replace(/s$/, ""),
    last = times.at(-1);
  return Array.from({ length: count }, (_, i) => {
    const steps = Number(size) * (i + 1);
    if (unit !== "month") return new Date(last.getTime() + steps * SECONDS[unit] * 1000);
    const date = new Date(last);
    if (!times.every(endsMonth)) {
      date.setUTCMonth(date.getUTCMonth() + steps);
      return date;
    }
    date.setUTCDate(1);
    date.setUTCMonth(date.getUTCMonth() + steps + 1);
    date.setUTCDate(0);
    return date;
  });
}

function endsMonth(date) {
  return new Date(date.getTime() + SECONDS.day * 1000).getUTCDate() === 1;
}

/** Returns a time as text, as exact as the step needs. */
export function show(date, freq) {
  const text = date.toISOString().slice(0, 19).replace("T", " ");
  if (/hour|minute/.test(freq)) return text.replace(/:00$/, "");
  if (/second/.test(freq)) return text;
  const day = text.replace(" 00:00:00", "");
  return /month/.test(freq) ? day.replace(/-01$/, "") : day;
}
