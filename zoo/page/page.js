// The page: a list of models, the chosen one, and the engine that both come from.

import { el, problem } from "./dom.js";
import * as about from "./about.js";
import * as classify from "./view_classify.js";
import * as digits from "./view_digits.js";
import * as features from "./view_features.js";
import * as numbers from "./view_numbers.js";
import * as tag from "./view_tag.js";
import * as translate from "./view_translate.js";
import * as write from "./view_write.js";
import { SIZE } from "./digits.js";
import { setUp } from "./theme.js";

const VIEWS = { char_lm: write, seq_tagger: tag, seq2seq: translate, regressor: numbers };

/** Returns the view of a model. */
function viewOf({ task, arguments: config }) {
  if (task !== "seq_classifier") return VIEWS[task];
  if (config.vocab) return classify;
  return config.input_size === SIZE && config.num_steps === SIZE && !config.input_columns ? digits : features;
}

async function engineOf(name) {
  const module = await import(name === "browser" ? "./browser.js" : "./server.js");
  return name === "browser" ? new module.BrowserEngine() : new module.ServerEngine();
}

const main = document.querySelector("#model");
let close = () => {},
  turn = 0;

/** Shows the model that the address names, else the first one. */
async function open(engine, models) {
  const wanted = location.hash.slice(1);
  const entry = models.find(({ name }) => encodeURIComponent(name) === wanted) ?? models[0];
  const mine = ++turn;
  close();
  close = () => {};
  about.mark(entry);
  document.title = about.titleOf(entry);
  const status = el("p", { class: "loading", role: "status" }, "Loading the model\u2026");
  main.replaceChildren(about.heading(entry), status);
  try {
    const runner = await engine.open(entry);
    if (mine !== turn) return;
    status.remove();
    const root = el("div", { class: "view", "data-task": entry.task });
    main.append(root, about.details(entry));
    close = viewOf(entry).show(entry, runner, root);
  } catch (error) {
    if (mine === turn) failed(status, error);
  }
}

function failed(status, error) {
  const wrong = problem();
  wrong.textContent = error.message;
  status.replaceWith(wrong);
}

async function start() {
  setUp(document.querySelector("#theme"));
  const list = document.querySelector("#models"),
    narrow = matchMedia("(max-width: 899px)");
  list.open = !narrow.matches;
  narrow.addEventListener("change", () => (list.open = !narrow.matches));
  try {
    const engine = await engineOf(document.body.dataset.engine),
      models = (await engine.models()).filter(viewOf);
    if (!models.length) throw new Error("There is no model that this page can show.");
    document.querySelector("#list").replaceChildren(about.list(models));
    if (models.length === 1) document.body.classList.add("alone");
    addEventListener("hashchange", () => {
      open(engine, models);
      if (narrow.matches) list.open = false;
    });
    await open(engine, models);
  } catch (error) {
    failed(main.querySelector(".loading"), error);
  }
}

start();
