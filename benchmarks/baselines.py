"""What each config's figure is worth without a network: the naive guess on the same data.

    python benchmarks/baselines.py configs/words_gutenberg.yaml configs/alice_lstm_heldout.yaml

Every baseline is fitted on the training part alone, and scored on the part that the config is scored on:

- a text: a character 5-gram model, interpolated after Witten and Bell (1991), in bits per character;
- a word's last letter: the commonest one after the same three letters; if they never came, after the same last two
  of them, the same last one, and at the end in general. Ties go to the letter that is commoner in general;
- other classes, and pairs: the commonest answer;
- numbers: the last one of the sequence again.
"""

import argparse
from pathlib import Path
from typing import NamedTuple

import yaml

import datamodules
from datamodules import SequenceData, TimeSeries


class Baseline(NamedTuple):
    """A naive guess, and what it reaches in the metric of its task."""

    name: str
    value: float


def load_data(config: Path) -> SequenceData:
    """The data of a config, set up."""
    given = yaml.safe_load(config.read_text())["data"]
    data = getattr(datamodules, given["class_path"])(**given.get("init_args", {}))
    data.prepare_data()
    data.setup()
    return data


def baseline(data: SequenceData) -> Baseline:
    """The naive guess for some data, scored on its last part."""
    part = data.last_part()
    if isinstance(data, TimeSeries):
        found = {name: errors["mae"] for name, errors in data.baselines(part).items()}
        best = min(found, key=lambda name: found[name])
        others = [f"{name} {value:.4f}" for name, value in found.items() if name != best]
        return Baseline(", ".join([*others, best]), found[best])
    ((name, values),) = data.baselines(part).items()
    return Baseline(name, next(iter(values.values())))


def main() -> None:
    """Prints a line for each config."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("configs", type=Path, nargs="+")
    for config in parser.parse_args().configs:
        data = load_data(config)
        found = baseline(data)
        size = len(data.parts[data.last_part()])
        print(
            f"{config.stem:<20} {found.name:<18} {found.value:.4f}  on {size} examples of the {data.last_part()} part"
        )


if __name__ == "__main__":
    main()
