"""list, show, generate, infer and export, as a user types them."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import zoo
from support import ALICE, DIGITS, STEPS, TOY, WORDS, fit_apple, refused
from zoo.files import bundle

pytestmark = pytest.mark.short

# -- list and show


def test_all_shipped_models_are_listed_with_what_they_reach(zoo_command: Callable) -> None:
    lines = zoo_command("list").out.splitlines()
    assert [line.split()[0] for line in lines] == sorted(bundle.shipped())
    assert len(zoo_command("list", "char_lm*").out.splitlines()) == len(zoo.list_models("char_lm*", pretrained=True))
    rows = json.loads(zoo_command("list", "--json", DIGITS).out)
    assert rows[0]["metrics"]["test/accuracy"] > 0.98
    refused(zoo_command("list", "char_ml*"), "no model matches 'char_ml*'")
    refused(zoo_command("list", "--jsno"), "unknown argument '--jsno'; did you mean --json?")


def test_a_card_is_shown(zoo_command: Callable) -> None:
    card = zoo_command("show", TOY).out
    for part in ("SHA-256", "split", "recipe", "over seeds", "naive baseline", "trained on", "## Limits", "## Use"):
        assert part in card
    refused(zoo_command("show", "seq2seq_rnn.toy_en_k"), "did you mean seq2seq_rnn.toy_en_ko?")
    refused(zoo_command("show"), "show: the following arguments are required: NAME")


# -- generate


def test_a_seed_gives_the_same_text(zoo_command: Callable) -> None:
    write = ["generate", ALICE, "--prompt", "alice was", "--length", "60", "--temperature", "0.7"]
    text = zoo_command(*write, "--seed", "1").out
    assert text.startswith("alice was")
    assert len(text) == len("alice was") + 60 + 1
    assert zoo_command(*write, "--seed", "1").out == text
    assert zoo_command(*write, "--seed", "2").out != text


def test_samples_beams_and_stops(zoo_command: Callable) -> None:
    three = zoo_command(
        "generate", ALICE, "--prompt", "the ", "--num_samples", "3", "--seed", "1", "--json", "--length", "9"
    )
    rows = [json.loads(line) for line in three.out.splitlines()]
    assert len({row["text"] for row in rows}) == 3
    assert all(len(row["log_probs"]) == 9 for row in rows)
    beams = zoo_command(
        "generate", ALICE, "--prompt", "alice ", "--beam", "4", "--num_samples", "2", "--length", "9", "--json"
    )
    scores = [json.loads(line)["score"] for line in beams.out.splitlines()]
    assert scores == sorted(scores, reverse=True)
    stopped = zoo_command("generate", ALICE, "--prompt", "alice ", "--temperature", "0", "--stop", " ").out
    assert stopped.count(" ") == 2
    vowels = zoo_command("generate", ALICE, "--allowed", "ae", "--length", "20", "--seed", "1").out
    assert set(vowels.strip()) == {"a", "e"}


WRONG_OPTIONS = {
    "--temperature -1": "temperature: got -1.0, expected at least 0",
    "--temperature nan": "temperature: got nan",
    "--top_p 0": "top_p: got 0.0, expected above 0 and at most 1",
    "--top_p 1.5": "top_p: got 1.5",
    "--top_k 0": "top_k: got 0",
    "--repetition_penalty 0": "repetition_penalty: got 0.0",
    "--beam 0": "beam: got 0, expected at least 1",
    "--length 0": "length: got 0, expected at least 1",
    "--num_samples 0": "num_samples: got 0",
    "--seed -1": "seed: got -1",
    "--length many": "invalid int value: 'many'",
    "--prompt é": "the symbol 'é' at position 0 is not among the 55 symbols",
    "--temprature 1": "unknown argument '--temprature'; did you mean --temperature?",
    "--beam 2 --top_k 3": "--top_k: has no effect with --beam",
    "--alpha 1": "--alpha: needs --beam",
}


@pytest.mark.parametrize("options", WRONG_OPTIONS)
def test_wrong_options_of_generate_are_named(options: str, zoo_command: Callable) -> None:
    refused(zoo_command("generate", ALICE, *options.split()), WRONG_OPTIONS[options])


def test_unknown_symbols_are_skipped_on_request(zoo_command: Callable) -> None:
    options = ["--length", "9", "--seed", "1"]
    skipped = zoo_command("generate", ALICE, "--prompt", "é*Alice", "--on_unknown", "skip", *options).out
    assert skipped.startswith("*alice")
    assert zoo_command("generate", ALICE, "--prompt", "*alice", *options).out == skipped


def test_only_language_models_generate(zoo_command: Callable) -> None:
    refused(zoo_command("generate", TOY), "expected a char_lm, got a seq2seq_rnn, which takes texts; use `zoo infer`")
    refused(zoo_command("generate", "char_lm_lstm.alicia"), "did you mean char_lm_lstm.alice")
    refused(zoo_command("generate", "https://x.org/a.ckpt"), "this is an address")


# -- infer


@pytest.fixture
def digit(tmp_path: Path) -> Path:
    """A drawn one, as a PNG."""
    pixels = np.zeros((28, 28), np.uint8)
    pixels[4:24, 13:16] = 255
    Image.fromarray(pixels).save(tmp_path / "one.png")
    return tmp_path / "one.png"


def test_each_task_infers_its_own_kind_of_input(zoo_command: Callable, digit: Path) -> None:
    assert zoo_command("infer", TOY, "word", "love").out == "word -> 단어\nlove -> 사랑\n"
    assert zoo_command("infer", WORDS, "wor", "dee").out.splitlines()[0].startswith("wor -> d   (probability 0.9")
    numbers = zoo_command("infer", STEPS, "25,35,45", "-1,2,5.5").out.splitlines()
    assert float(numbers[0].split()[-1]) == pytest.approx(55, abs=0.5)
    assert numbers[1].startswith("-1,2,5.5 -> ")
    row = json.loads(zoo_command("infer", DIGITS, digit, "--json").out)
    assert (row["input"], row["prediction"]) == (str(digit), "1")
    assert row["probability"] > 0.9
    assert zoo_command("infer", ALICE, "alice").out.startswith("alice -> ")


def test_a_wrong_line_is_reported_and_the_rest_goes_on(zoo_command: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = "word\n\nlove\nzebra\nb\xe4d\n".encode("latin-1")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines)))
    result = zoo_command("infer", TOY, "-", "--json")
    assert result.code == 1
    assert [json.loads(line)["prediction"] for line in result.out.splitlines()] == ["단어", "사랑"]
    errors = result.err.splitlines()
    assert "line 2: the line is empty" in errors[0]
    assert "line 4: 'zebra': the symbol 'z' at position 0" in errors[1]
    assert "line 5: this is not UTF-8" in errors[2]


def image(mode: str, size: tuple[int, int]) -> str:
    Image.new(mode, size).save("image.png")
    return "image.png"


def broken_image() -> str:
    Image.new("L", (28, 28)).save("broken.png")
    data = Path("broken.png").read_bytes()
    Path("broken.png").write_bytes(data.replace(b"IDAT", b"\xe7DAT"))
    return "broken.png"


WRONG_INPUTS: dict[str, tuple[str, Callable[[], str], str]] = {
    "a short word": (WORDS, lambda: "wo", "'wo' has 2 symbols, expected 3"),
    "an unknown symbol": (WORDS, lambda: "wo4", "'wo4': the symbol '4' at position 2 is not among the 26 symbols"),
    "an empty word": (WORDS, lambda: "", "got an empty text"),
    "two numbers": (STEPS, lambda: "1,2", "'1,2': got 2 numbers, expected 3"),
    "not a number": (STEPS, lambda: "1,2,nan", "'1,2,nan': got a number that is not finite"),
    "a huge number": (STEPS, lambda: "1,2,1e99", "got a number that is not finite"),
    "words for numbers": (STEPS, lambda: "a,b,c", "got 'a,b,c', expected numbers separated by commas"),
    "a large image": (
        DIGITS,
        lambda: image("L", (32, 28)),
        "32 x 28 pixels in mode L, expected 28 x 28 grey",
    ),
    "a colour image": (DIGITS, lambda: image("RGB", (28, 28)), "in mode RGB, expected 28 x 28 grey pixels"),
    "no image": (DIGITS, lambda: str(Path("x.png").write_text("hi") and "x.png"), "x.png: can't be read as an image"),
    "a broken image": (DIGITS, broken_image, "broken.png: can't be read as an image"),
    "a missing image": (DIGITS, lambda: "y.png", "y.png: file not found"),
}


@pytest.mark.parametrize("fault", WRONG_INPUTS)
def test_wrong_inputs_are_named(fault: str, zoo_command: Callable) -> None:
    model, value, message = WRONG_INPUTS[fault]
    refused(zoo_command("infer", model, value()), message)


# -- export, and the rest of the command line


def test_a_run_is_exported_with_what_is_known_of_it(zoo_command: Callable) -> None:
    fit_apple(zoo_command)
    exported = zoo_command("export", "run/checkpoints/best.ckpt", "-o", "apple")
    assert exported.out.startswith("apple: char_lm_rnn, 90 parameters")
    assert "SHA-256" in zoo_command("show", "apple").out
    assert zoo_command("infer", "apple", "apple").out == zoo_command("infer", "run/checkpoints/best.ckpt", "apple").out
    refused(zoo_command("export", TOY, "-o", "apple"), "apple already exists")
    refused(zoo_command("export", "run/checkpoints/best.ckp", "-o", "new"), "file not found")
    assert not Path("new").exists()


def test_a_packaged_config_is_named_without_its_path(zoo_command: Callable) -> None:
    result = zoo_command("fit", "--config", "toy_en_k", "--run_dir", "run")
    refused(result, "toy_en_k: file not found, and there is no packaged config of this name; did you mean toy_en_ko?")
    result = zoo_command("validate", "--ckpt_path", TOY)
    assert "val/exact_match" in result.out, result.err
    refused(zoo_command("test", "--ckpt_path", TOY), "this data has no test part")


@pytest.mark.parametrize(
    "command",
    [
        *("--help", "list", f"show {TOY}", f"generate {ALICE} --seed 1"),
        pytest.param(f"predict --ckpt_path {TOY}", marks=pytest.mark.slow),
    ],
)
def test_a_closed_pipe_is_no_error(command: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    argv = [sys.executable, "-m", "zoo", *command.split()]
    done = subprocess.run(argv, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert done.returncode == 141, done.stderr
    assert "pipe" not in done.stderr.lower()


def test_help_of_each_command(zoo_command: Callable) -> None:
    for command in ("list", "show", "generate", "infer", "export"):
        result = zoo_command(command, "--help")
        assert (result.code, result.out.startswith("usage: python -m zoo")) == (0, True)


def test_options_may_stand_before_the_command(zoo_command: Callable) -> None:
    assert zoo_command("--help", "list").out.startswith("usage: python -m zoo list")
    assert json.loads(zoo_command("--json", "infer", TOY, "word").out)["prediction"] == "단어"
