"""A picture of each trained model at work, from its own output."""

import contextlib
import csv
import io
import re
from collections.abc import Callable, Mapping
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from matplotlib.ticker import MaxNLocator

import zoo
from datamodules import PermutationProduct
from website import figures
from zoo.files import bundle

SENTENCES = Path(__file__).with_name("gallery.yaml")


def entries() -> dict[str, dict[str, Any]]:
    """What the gallery says of each trained model, in its order: `shows`, `sentence` and options of the picture.

    A figure in a sentence, as `{accuracy:.1%}`, is that of the model's card.

    Raises:
        ValueError: If a trained model has no entry, or an entry has no model.
    """
    known = yaml.safe_load(SENTENCES.read_text())
    models = zoo.list_models(pretrained=True)
    if different := set(known) ^ set(models):
        raise ValueError(f"website/gallery.yaml and the trained models differ: {', '.join(sorted(different))}")
    for name, entry in known.items():
        metrics = bundle.read_config(bundle.find_shipped(name))["about"]["metrics"]
        entry["sentence"] = entry["sentence"].format(**{key.partition("/")[2]: value for key, value in metrics.items()})
    return known


def sample(name: str, entry: Mapping[str, Any]) -> str:
    """The picture of a model, as HTML."""
    options = {key: value for key, value in entry.items() if key not in ("shows", "sentence")}
    return PICTURES[entry["shows"]](zoo.load(name), name.replace(".", "-"), **options)


def text(model: Any, _: str, *, prompt: str, length: int = 260, temperature: float = 0.5, seed: int = 1) -> str:
    """A text, each symbol the darker the less the model expected it."""
    (written,) = model.generate_batch([prompt], length=length, temperature=temperature, seed=seed)
    return written_text(prompt, written.text, [np.exp(chance) for chance in written.log_probs])


def written_text(prompt: str, written: str, chances: list[float]) -> str:
    """A prompt, and a text whose symbols are shaded by their probability."""
    symbols = "".join(
        f'<span style="--surprise:{1 - chance:.2f}" title="p = {chance:.3f}">{escape(symbol)}</span>'
        for symbol, chance in zip(written, chances, strict=True)
    )
    return f'<div class="picture written"><b>{escape(prompt)}</b><wbr/>{symbols}</div>'


def digit(model: Any, name: str, *, digit: str) -> str:
    """A digit, and the probability of each class after each of its rows."""
    image = figures.digit(digit)
    rows = torch.from_numpy(np.asarray(image, dtype=np.float32) / 255)[None]  # (1, 28, 28)
    with torch.inference_mode():
        chances = np.stack([model(rows[:, : row + 1]).softmax(-1)[0].numpy() for row in range(28)])
    figure, (left, right) = figures.new(4.8, 2.5, 1, 1)
    left.imshow(255 - np.asarray(image), cmap="gray", vmin=0, vmax=255, aspect="auto", interpolation="nearest")
    left.set(xticks=[], yticks=[0, 9, 18, 27], yticklabels=["1", "10", "19", "28"], ylabel="row")
    figures.heatmap(right, chances, model.config.classes, [])
    right.set_xlabel("class, after each row")
    (found,) = model.classify(image)
    right.set_title(f"{found.label}: {found.probability:.1%}", fontsize=10)
    says = f"A drawn {digit}, and the probability of each digit after each of its 28 rows; at the end {found.label}"
    return figures.svg(figure, name, says)


def last_letters(model: Any, name: str, *, words: list[str]) -> str:
    """The probability of each letter after the beginnings of words."""
    found = model.classify([word[:-1] for word in words])
    letters = sorted({letter for one in found for letter, chance in one.probabilities.items() if chance > 0.02})
    chances = [[one.probabilities[letter] for letter in letters] for one in found]
    figure, (axis,) = figures.new(4.8, 0.7 + 0.24 * len(words))
    figures.heatmap(axis, chances, letters, [f"{word[:-1]}\u2009\u00b7" for word in words])
    for row, word in enumerate(words):
        if word[-1] in letters:
            axis.plot(letters.index(word[-1]), row, "o", mfc="none", color=figures.ORANGE, markersize=9, mew=2)
    axis.set_xlabel("the last letter (a circle: that of a word)")
    return figures.svg(figure, name, f"Probabilities of the last letter of {', '.join(words)}")


def states(model: Any, name: str, *, symbols: str, task: str, label: str) -> str:
    """The probability of each class after each symbol; circles are the true ones."""
    given = [symbols[: end + 1] for end in range(len(symbols))]
    found = model.classify(given)
    classes = model.config.classes
    chances = np.array([[one.probabilities[name] for name in classes] for one in found]).T
    answers = TRUE[task](symbols)
    figure, (axis,) = figures.new(4.8, 0.9 + 0.24 * len(classes))
    figures.heatmap(axis, chances, [*symbols], classes)
    places = [classes.index(answer) for answer in answers]
    axis.plot(range(len(symbols)), places, "o", mfc="none", color=figures.ORANGE, markersize=5, mew=1.6)
    axis.set_xlabel(label)
    right = sum(one.label == answer for one, answer in zip(found, answers, strict=True))
    return figures.svg(figure, name, f"The state after each symbol of {symbols}: {right} of {len(symbols)} are right")


def _parity(symbols: str) -> list[str]:
    return [("even", "odd")[symbols[: end + 1].count("1") % 2] for end in range(len(symbols))]


def _order(symbols: str) -> list[str]:
    order, found = 0, []
    for symbol in symbols:
        order = PermutationProduct.table[order, PermutationProduct.symbols.index(symbol)]
        found.append(PermutationProduct.names[order])
    return found


def answers(model: Any, _: str, *, inputs: list[str], right: list[str]) -> str:
    """Inputs and answers with their probabilities; wrong ones are marked."""
    rows = ""
    for source, (best, *_), expected in zip(inputs, model.search(inputs, beam=3), right, strict=True):
        chance = np.exp(best.log_prob)
        mark = "right" if best.text == expected else "wrong"
        bar = f'<span class="bar" style="--share:{chance:.3f}"></span>'
        answer = f'<td class="{mark}">{escape(best.text)}</td>'
        rows += f"<tr><td>{escape(source)}</td>{answer}<td>{bar} {chance:.0%}</td></tr>"
    head = "<tr><th>input</th><th>answer</th><th>its probability</th></tr>"
    return f'<div class="picture answers"><table><thead>{head}</thead><tbody>{rows}</tbody></table></div>'


def alignment(model: Any, name: str, *, source: str) -> str:
    """Where the decoder looks at each step."""
    (found,) = model.align(source)
    figure, (axis,) = figures.new(1.1 + 0.3 * len(found.source), 0.8 + 0.24 * len(found.target))
    figures.heatmap(axis, found.weights, found.source, ["end" if one == "<end>" else one for one in found.target])
    axis.xaxis.tick_top()
    axis.xaxis.set_label_position("top")
    axis.set(xlabel="where it looks", ylabel="answer")
    return figures.svg(figure, name, f"The symbols of {source} that the decoder looks at for each symbol of its answer")


def edited(model: Any, _: str, *, plain: str) -> str:
    """A plain text, and what the model makes of it, with the changes marked."""
    (found,) = model.edit(plain)
    place, shown = 0, ""
    for symbol in found:
        same = place < len(plain) and symbol == plain[place]
        place += place < len(plain) and symbol.lower() == plain[place]
        shown += escape(symbol) if same else f"<mark>{escape(symbol)}</mark>"
    return f'<div class="picture edited"><p>{escape(plain)}</p><p>{shown}</p></div>'


def forecast(model: Any, name: str, *, first: str) -> str:
    """Two years, and the next twelve months with their band, beside what came."""
    table = resources.files("datamodules").joinpath("facts/co2.csv").read_text()
    rows = [(row["month"], float(row["co2"])) for row in csv.DictReader(table.splitlines()) if row["co2"]]
    start = [month for month, _ in rows].index(first)
    months, values = zip(*rows[start : start + 36], strict=True)
    found = model.forecast({"co2": [*values[:24]]}, [*months[:24]])["quantiles"]["co2"]
    low, middle, high = (np.array(found[level]) for level in ("0.1", "0.5", "0.9"))
    figure, (axis,) = figures.new(4.8, 2.6)
    steps = np.arange(24, 36)
    axis.plot(range(24), values[:24], color=figures.INK, label="given")
    axis.plot(np.arange(23, 36), values[23:], ".", color=figures.INK, label="what came")
    axis.fill_between(steps, low, high, color=figures.TEAL, alpha=0.3, lw=0, label="80% band")
    axis.plot(steps, middle, color=figures.TEAL, label="forecast")
    axis.set_xticks(range(0, 36, 12), [months[step] for step in range(0, 36, 12)])
    axis.set_ylabel("CO2, ppm")
    figure.legend(loc="outside upper center", ncols=2, frameon=False, fontsize=9)
    return figures.svg(figure, name, f"CO2 from {first}, the forecast of twelve months, and what came")


def continued(model: Any, name: str, *, first: list[float]) -> str:
    """The next number after two given ones and a third, whatever it is."""
    step = first[1] - first[0]
    thirds = np.linspace(first[1] - step, first[1] + 3 * step, 81)
    found = np.array(model.predict_values([[*first, third] for third in thirds.tolist()]))[:, 0]
    (right,) = model.predict_values([[*first, first[1] + step]])
    figure, (axis,) = figures.new(4.8, 2.6)
    axis.plot(thirds, 2 * thirds - first[1], color=figures.INK, ls=":", label="the last step again")
    axis.plot(thirds, found, color=figures.TEAL, label="the model's answer")
    axis.plot(first[1] + step, right, "o", mfc="none", color=figures.ORANGE, markersize=9, mew=2, label="equal steps")
    axis.set(xlabel=f"x, of the input {first[0]:g}, {first[1]:g}, x", ylabel="next number")
    figure.legend(loc="outside upper center", ncols=2, frameon=False, fontsize=9)
    return figures.svg(figure, name, f"The answer to {first[0]:g}, {first[1]:g} and each third number")


def adding(model: Any, name: str, *, marked: list[int], seed: int = 1) -> str:
    """A hundred numbers of which two are marked, and what the model answers after each of them."""
    numbers = np.random.default_rng(seed).random(100, dtype=np.float32)
    marks = np.isin(np.arange(100), marked).astype(np.float32)
    rows = torch.from_numpy(np.stack([numbers, marks], -1))[None]  # (1, 100, 2)
    with torch.inference_mode():
        answers = [float(model(rows[:, : step + 1])[0, 0]) for step in range(100)]
    figure, (axis,) = figures.new(4.8, 2.6)
    axis.bar(range(100), numbers, color="0.6", alpha=0.5)
    axis.bar(marked, numbers[marked], color=figures.ORANGE, label="marked")
    axis.plot(np.cumsum(numbers * marks), color=figures.INK, ls=":", label="their sum so far")
    axis.plot(answers, color=figures.TEAL, label="the model's answer")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set(xlabel="step", xlim=(-1, 100))
    figure.legend(loc="outside upper center", ncols=2, frameon=False, fontsize=9)
    return figures.svg(figure, name, f"The model's answer after each step; at the end {answers[-1]:.3f}")


TRUE: dict[str, Callable[[str], list[str]]] = {"parity": _parity, "order": _order}
PICTURES: dict[str, Callable[..., str]] = {
    "adding": adding,
    "alignment": alignment,
    "answers": answers,
    "continued": continued,
    "digit": digit,
    "edited": edited,
    "forecast": forecast,
    "last letters": last_letters,
    "states": states,
    "text": text,
}


def example(name: str, card: str) -> str:
    """What the example of a card prints. Cards of digits read an image, which is drawn here."""
    ((code,),) = [re.findall(r"```python\n(.*?)```", card, re.DOTALL)]
    printed = io.StringIO()
    known = {"image": figures.digit("7")} if "image" in code else {}
    with contextlib.redirect_stdout(printed):
        exec(code, {"__name__": name, **known})
    return printed.getvalue().strip()
