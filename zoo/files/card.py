"""Model cards: a bundle's config as a page of Markdown."""

from typing import Any

PIPELINES = {  # the Hugging Face Hub's names for the tasks
    "char_lm": "text-generation",
    "seq_classifier": "text-classification",
    "seq_tagger": "token-classification",
    "seq2seq": "translation",
    "regressor": "time-series-forecasting",
}

MOST_CHARACTERS = 80


def card(config: dict[str, Any]) -> str:
    """A model card in Markdown, with the Hugging Face Hub's metadata at its head.

    Args:
        config: A bundle's config. Its `about` has these keys, all optional: `title`; `description`; `dataset`, a name;
            `data` (source -> SHA-256); `split`; `recipe`, a command; `config_yaml`, a whole
            config; `metrics` (name -> value, of these weights); `spread`, `baseline`, `optimizer`, `schedule` of the
            learning rate, `training_options`, `seed`, `trained_for` (epochs and steps), `training_time`, `hardware`,
            `versions`, `limits`, texts; `license`; `pipeline`, the Hub's name of the task; `use`,
            Python.
    """
    import yaml

    about, arguments = config["about"], config["arguments"]
    of_task = next((task for prefix, task in PIPELINES.items() if config["name"].startswith(prefix)), "other")
    if of_task == "text-classification" and arguments.get("input_size") is not None:  # it reads numbers
        of_task = "other"
    pipeline = about.get("pipeline", of_task)
    title = about.get("title", config["name"])
    metrics = about.get("metrics", {})
    head: dict[str, Any] = {"library_name": "rnn-zoo", "license": about.get("license", "other")}
    head |= {"pipeline_tag": pipeline, "tags": ["recurrent-neural-network", config["name"]]}
    if metrics:
        result = {
            "task": {"type": pipeline},
            "dataset": {"name": about.get("dataset", "unknown"), "type": "other"},
            "metrics": [{"type": name.split("/")[-1], "name": name, "value": value} for name, value in metrics.items()],
        }
        head["model-index"] = [{"name": title, "results": [result]}]
    lines = ["---", yaml.safe_dump(head, sort_keys=False, allow_unicode=True).strip(), "---", "", f"# {title}", ""]
    if "description" in about:
        lines += [about["description"], ""]
    lines += ["| | |", "|---|---|"]
    shape = ", ".join(f"{key} {_short(value)}" for key, value in arguments.items() if value not in (None, 0.0, False))
    rows: dict[str, Any] = {
        "model": f"`{config['name']}`: {shape}",
        "parameters": f"{config['parameters']:,}, stored in {config['dtype']}",
        "data": "<br>".join(f"{name}, SHA-256 `{digest}`" for name, digest in about.get("data", {}).items()),
        "split": about.get("split"),
        "recipe": f"`{about['recipe']}`" if "recipe" in about else None,
        "these weights reach": ", ".join(f"{name} {value}" for name, value in metrics.items()),
        "over seeds": about.get("spread"),
        "naive baseline": about.get("baseline"),
        "optimizer": about.get("optimizer"),
        "learning-rate schedule": about.get("schedule"),
        "training options": about.get("training_options"),
        "seed": about.get("seed"),
        "trained for": about.get("trained_for"),
        "trained on": about.get("hardware"),
        "training time": about.get("training_time"),
        "versions": about.get("versions"),
        "SHA-256 of the weights": f"`{config['sha256']}`",
    }
    lines += [f"| {name} | {_cell(value)} |" for name, value in rows.items() if value]
    if "config_yaml" in about:
        text = about["config_yaml"].strip()
        fence = "```" if "```" not in text else "~~~~~~"
        lines += ["", "## Config", "", f"{fence}yaml", text, fence]
    lines += ["", "## Limits", "", about.get("limits", "Not documented.")]
    if "use" in about:
        lines += ["", "## Use", "", "```python", about["use"].strip(), "```"]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    """Returns a text as a cell of a table. A vertical bar would end the cell, and a line break the row."""
    return text.replace("|", r"\|").replace("\n", " ")


def _short(value: Any) -> str:
    """Returns a value of a config in a few characters. A tokenizer's JSON is long."""
    long = isinstance(value, str) and len(value) > MOST_CHARACTERS
    return f"of {len(value)}" if isinstance(value, list) else "in the config" if long else str(value)
