"""The commands that use a model: generate and infer."""

import argparse
import inspect
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from zoo.cli.arguments import Command, Parser
from zoo.cli.errors import UsageError, shorten
from zoo.cli.results import save_figure, text_of
from zoo.cli.sources import load
from zoo.decoding import LengthPenalty
from zoo.methods.base import Methods
from zoo.methods.char_lm import CharLMMethods
from zoo.methods.regressor import RegressorMethods
from zoo.methods.seq2seq import Seq2SeqMethods
from zoo.methods.seq_classifier import SeqClassifierMethods
from zoo.vocab import OnUnknown

DRAWS = ("temperature", "top_k", "top_p", "repetition_penalty", "stop", "seed")  # options of generate without a beam
BEAMS = ("length_penalty", "alpha")  # and with one
MOST_PICTURES = 20  # of alignments in one file
NEGATIVE = r" ?-([\d.]|inf|nan)"


def parser(command: str, description: str, exports: bool = True) -> Parser:
    """Returns a parser with the argument for a model, which may be an export."""
    made = Parser(command, description)
    folders = "bundle, run or export" if exports else "bundle or run"
    made.add_argument("model", help=f"a name from `zoo list`, the folder of a {folders}, a checkpoint, or a Hub id")
    return made


def refuse_unused(options: Parser, given: argparse.Namespace, names: tuple[str, ...], beam: bool) -> None:
    """Refuses options that have no effect with --beam, or without it."""
    for name in names:
        if getattr(given, name) != options.get_default(name):
            raise UsageError(f"--{name}: {'has no effect with --beam' if beam else 'needs --beam'}")


def generate_parser() -> Parser:
    """Returns the parser of generate."""
    options = parser("generate", "Generate text after a prompt.")
    options.add_argument("--prompt", default="", help="the beginning of the text; empty stands for a space")
    options.add_argument("--length", type=int, default=200, help="maximum number of symbols to generate")
    options.add_argument("--temperature", type=float, default=1.0, help="0 takes the most likely symbol each time")
    options.add_argument("--top_k", type=int, help="sample from the K most likely symbols")
    options.add_argument("--top_p", type=float, help="sample from the most likely symbols with total probability P")
    options.add_argument(
        "--repetition_penalty", type=float, default=1.0, help="above 1, symbols that occurred before are less likely"
    )
    options.add_argument("--allowed", help="the only symbols to generate")
    options.add_argument("--forbidden", default="", help="symbols never to generate")
    options.add_argument(
        "--stop", action="append", default=[], metavar="TEXT", help="stop after this text; can be repeated"
    )
    options.add_argument("--num_samples", type=int, default=1, help="number of texts")
    options.add_argument("--beam", type=int, help="number of beams; use beam search instead of sampling")
    options.add_argument(
        "--length_penalty", default="none", choices=["none", "average", "wu"], help="length penalty of beam search"
    )
    options.add_argument("--alpha", type=float, default=0.6, help="exponent of the length penalty wu")
    options.add_argument("--seed", type=int, help="random seed; the same seed gives the same text")
    options.add_argument(
        "--on_unknown", choices=get_args(OnUnknown), help="what to do with unknown symbols of the prompt"
    )
    options.add_argument("--json", action="store_true", help="print one JSON object per text, with log-probabilities")
    return options


def generate(argv: list[str]) -> int:
    """Generates text after a prompt, symbol by symbol."""
    options = generate_parser()
    parsed = options.parse(argv)
    refuse_unused(options, parsed, DRAWS if parsed.beam is not None else BEAMS, parsed.beam is not None)
    given = vars(parsed)
    name, prompt, length, as_json = (given.pop(key) for key in ("model", "prompt", "length", "json"))
    samples, beam, on_unknown = given.pop("num_samples"), given.pop("beam"), given["on_unknown"]
    penalty = {key: given.pop(key) for key in BEAMS}
    if samples < 1:
        raise UsageError(f"num_samples: got {samples}, expected at least 1")
    model = load(name)
    if not isinstance(model, CharLMMethods):
        raise UsageError(
            f"{name}: expected a char_lm, got a {model.model_name}, which takes {model.takes}; use `zoo infer`"
        )
    shown = model.config.clean(prompt)
    if on_unknown == "skip":
        shown = model.vocab.decode(model.vocab.encode(shown, "skip"))
    if beam is not None:
        if samples > beam >= 1:
            raise UsageError(f"num_samples: got {samples}, expected at most the beam, {beam}")
        kept = {key: given[key] for key in ("allowed", "forbidden", "on_unknown")}
        found = model.search(prompt, length, beam, **kept, **penalty)[:samples]
        rows = [{"prompt": shown, **text._asdict()} for text in found]
    elif samples > 1 or as_json:
        rows = [
            {"prompt": shown, **text._asdict()} for text in model.generate_batch([prompt] * samples, length, **given)
        ]
    else:
        symbols = model.stream(prompt, length, **given)
        first = next(symbols)  # raises errors in the options before anything is printed
        print(shown + first, end="", flush=True)
        for symbol in symbols:
            print(symbol, end="", flush=True)
        print()
        return 0
    for number, row in enumerate(rows):
        scored = f"   (score {row['score']:.4f})" if "score" in row else ""
        line = json.dumps(row, ensure_ascii=False) if as_json else f"{row['prompt']}{row['text']}{scored}"
        print(line if as_json or not number else f"\n{line}", flush=True)
    return 0


def infer(argv: list[str]) -> int:
    """Prints a model's predictions for some inputs."""
    options = parser("infer", "Predict from inputs: texts, numbers as 1,2,3, or paths of images or tables.")
    options.add_argument(
        "inputs", nargs="+", metavar="INPUT", help="an input; - reads one input per line from standard input"
    )
    options.add_argument(
        "--on_unknown", choices=get_args(OnUnknown), help="what to do with unknown symbols of texts: default error"
    )
    options.add_argument("--json", action="store_true", help="print one JSON object per input")
    options.add_argument("--beam", type=int, help="of models that write texts: number of beams; default: greedy")
    options.add_argument(
        "--length_penalty", choices=get_args(LengthPenalty), help="with --beam: what log-probabilities are divided by"
    )
    options.add_argument(
        "--alignment", type=Path, metavar="PICTURE", help="draw where a model with attention looks, for example a.png"
    )
    # With a space in front, argparse does not take a negative number for an option.
    given = options.parse([f" {word}" if re.match(NEGATIVE, word) else word for word in argv])
    model = load(given.model)
    how: dict[str, Any] = {} if given.on_unknown is None else {"on_unknown": given.on_unknown}
    if how and "on_unknown" not in inspect.signature(model.infer).parameters:
        raise UsageError(f"--on_unknown: a {model.model_name} takes {model.takes}, which have no unknown symbols")
    how |= _search_options(model, given)
    if given.alignment is not None and (not isinstance(model, Seq2SeqMethods) or model.config.attention == "none"):
        raise UsageError(f"--alignment: {model.model_name} has no attention")
    if given.alignment is not None and given.inputs == ["-"]:
        raise UsageError("--alignment: it does not work with standard input; give the texts as arguments")
    words = [word.strip() if re.match(NEGATIVE, word) else word for word in given.inputs]
    if isinstance(model, RegressorMethods) and model.reads_tables:
        from zoo.cli import forecasts

        return forecasts.infer(model, words, given.json)
    if isinstance(model, SeqClassifierMethods) and model.reads_tables:
        from zoo.cli import sequences

        rows = [row for word in words for row in sequences.infer(model, word)]
    elif words == ["-"]:
        return _infer_lines(model, given.json, how)
    else:
        rows = [_infer_one(model, word, how) for word in words]  # all of them, before anything is printed
    if given.alignment is not None and isinstance(model, Seq2SeqMethods):
        _draw_alignments(model, words, how, given.alignment)
    for row in rows:
        _print_row(row, given.json)
    return 0


def _search_options(model: Methods, given: argparse.Namespace) -> dict[str, Any]:
    """Returns the options of a search with several beams."""
    if given.beam is None:
        if given.length_penalty is not None:
            raise UsageError("--length_penalty: needs --beam")
        return {}
    if not isinstance(model, Seq2SeqMethods):
        raise UsageError(f"--beam: a {model.model_name} does not write texts that a beam could search")
    penalty = {} if given.length_penalty is None else {"length_penalty": given.length_penalty}
    return {"beam": given.beam, **penalty}


def _draw_alignments(model: Seq2SeqMethods, words: list[str], how: dict[str, Any], path: Path) -> None:
    """Draws where a model looked, for the first inputs."""
    from zoo import plots

    found = model.align(words[:MOST_PICTURES], **how)
    pictures = [[("", *one)] for one in found]
    save_figure(plots.alignments(pictures), path, "--alignment")


def _infer_lines(model: Methods, as_json: bool, how: dict[str, Any]) -> int:
    """Predicts from each line of standard input. Reports lines that can't be read, and continues."""
    failed = 0
    for number, line in enumerate(_lines(), 1):
        try:
            if isinstance(line, UnicodeDecodeError):
                raise UsageError("this is not UTF-8")
            if not line.strip():
                raise UsageError("the line is empty")
            _print_row(_infer_one(model, line, how), as_json)
        except UsageError as error:
            failed += 1
            print(shorten(f"line {number}: {error}"), file=sys.stderr)
    if failed:
        print(shorten(f"{failed} of {number} lines could not be read"), file=sys.stderr)
    return 1 if failed else 0


def _lines() -> Iterator[str | UnicodeDecodeError]:
    for line in sys.stdin.buffer:
        try:
            yield line.decode("utf-8-sig").rstrip("\r\n")
        except UnicodeDecodeError as error:
            yield error


def _infer_one(model: Methods, word: str, how: dict[str, Any]) -> dict[str, Any]:
    try:
        (row,) = model.infer([model.parse(word)], **how)
    except ValueError as error:
        text = str(error)
        raise UsageError(text if word and word in text else f"{word!r}: {text}") from error
    return {**row, "input": word}


def _print_row(row: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps({"input": row.pop("input"), **row}, ensure_ascii=False), flush=True)
        return
    shown = {name: text_of(value) for name, value in row.items() if name not in ("input", "probability")}
    text = shown["prediction"] if "prediction" in shown else ", ".join(f"{name} {shown[name]}" for name in shown)
    probability = f"   (probability {row['probability']:.4f})" if "probability" in row else ""
    print(f"{row['input']} -> {text}{probability}", flush=True)


COMMANDS = {"generate": generate, "infer": infer}


def run(command: Command) -> int:
    """Runs generate or infer; returns the exit code."""
    command.import_packages()
    try:
        return COMMANDS[command.name](command.argv)
    except UnicodeError:
        raise
    except ValueError as error:
        raise UsageError(str(error)) from error
