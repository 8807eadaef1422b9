"""Whatever stands in a file: the readers take it, or refuse it in a few words, soon, and leave nothing behind.

Real files are cut, and bytes in them changed, put in and left out; others are made up. The same
examples each time; the slow variants go through many more.
"""

import gc
import io
import json
import os
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.configuration import set_hypothesis_home_dir
from PIL import Image

import zoo
from datamodules import TextFile, WordCompletion
from datamodules.numbers.numeric import read_numbers
from datamodules.pairs.toy import EN_KO, read_pairs
from datamodules.sources.idx import read_idx
from support import CONFIGS
from zoo.files import bundle
from zoo.methods import images
from zoo.vocab import Vocab

SECONDS = 20  # for one example, on a busy machine
PLAIN = (ValueError, OSError)  # what the commands make a short message of


def examples(few: int, many: int) -> pytest.MarkDecorator:
    """The number of examples, few in the fast suite and many in the slow one."""
    return pytest.mark.parametrize("examples", [few, pytest.param(many, marks=pytest.mark.slow)])


def fuzz(check: Callable[..., None], examples: int, *strategies: st.SearchStrategy) -> None:
    """Runs a check on examples of some strategies."""
    settings(
        max_examples=examples,
        deadline=1000 * SECONDS,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )(given(*strategies)(check))()


@pytest.fixture(scope="module", autouse=True)
def nothing_of_hypothesis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What Hypothesis writes lies elsewhere."""
    set_hypothesis_home_dir(tmp_path_factory.mktemp("hypothesis"))
    yield
    set_hypothesis_home_dir(None)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def listing() -> set[str]:
    return {str(path) for path in Path().rglob("*")}


def read_or_refuse(read: Callable[[], Any]) -> None:
    """A reader gives something, or raises what a command makes a short message of, and writes nothing."""
    before = listing()
    with suppress(*PLAIN):
        read()
    assert listing() == before


# -- what stands in a file

TOKENS = [
    *(b": ", b"- ", b"[", b"{", b"}", b"&a ", b"*a", b"!!", b"'", b'"', b"\n", b"  "),
    *(b"null", b"-1", b"1e999", b"9" * 9),
]
PIECE = st.one_of(st.sampled_from(TOKENS), st.sampled_from(TOKENS), st.binary(max_size=6))
EDIT = st.tuples(st.integers(0, 10**6), st.sampled_from(["cut", "flip", "insert", "remove", "repeat"]), PIECE)


def edited(data: bytes, edits: list[tuple[int, str, bytes]]) -> bytes:
    """Data with a few changes, each at a place of its own."""
    for number, kind, piece in edits:
        place = number % (len(data) + 1)
        if kind == "cut":
            data = data[:place]
        elif kind == "flip" and place < len(data):
            data = data[:place] + bytes([data[place] ^ (1 << number % 8)]) + data[place + 1 :]
        elif kind == "insert":
            data = data[:place] + piece + data[place:]
        elif kind == "remove":
            data = data[:place] + data[place + len(piece) :]
        elif kind == "repeat":
            data = data[:place] + data[max(0, place - 9) : place] * 3 + data[place:]
    return data


def broken(*files: bytes) -> st.SearchStrategy[bytes]:
    """One of some files with changes, and now and then something else altogether."""
    real = st.builds(edited, st.sampled_from(files), st.lists(EDIT, max_size=4))
    return st.one_of(real, real, real, st.binary(max_size=200), st.text(max_size=200).map(str.encode))


PLAIN_VALUE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([0, 1, 2, -1, 2**31, 2**63, 10**30]),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["lstm", "torch", "a", "", "<pad>", "\ud800", "null"]),
)
VALUE = st.recursive(
    PLAIN_VALUE,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=6), inner, max_size=3)),
    max_leaves=8,
)


def changed(value: Any, places: list[tuple[int, Any]]) -> Any:
    """A nested value with others in some places."""
    for number, new in places:
        value = _changed(value, number, new)
    return value


def _changed(value: Any, number: int, new: Any) -> Any:
    keys = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    if not keys or number % 7 == 0:
        return new
    key = keys[number % len(keys)]
    copied = value.copy()
    copied[key] = _changed(value[key], number // 7, new)
    return copied


CHANGES = st.lists(st.tuples(st.integers(1, 7**6), st.one_of(PLAIN_VALUE, PLAIN_VALUE, VALUE)), min_size=1, max_size=3)


# -- configs

CONFIG_FILES = [(CONFIGS / f"{name}.yaml").read_bytes() for name in ("toy_en_ko", "apple_rnn", "three_steps")]
SMALL: dict[str, Any] = {
    "seed_everything": 1,
    "model": {"class_path": "Seq2Seq", "init_args": {"hidden_size": 4, "cell": "gru", "dropout": 0.0}},
    "data": {"class_path": "ToySeq2Seq", "init_args": {"task": "en_ko", "batch_size": 6, "val_fraction": 0.0}},
    "trainer": {
        "max_epochs": 1,
        "callbacks": [{"class_path": "EarlyStopping", "init_args": {"monitor": "train/loss"}}],
        "logger": False,
        "gradient_clip_val": 1.0,
    },
    "optimizer": {"class_path": "Adam", "init_args": {"betas": [0.9, 0.99]}},
    "lr_scheduler": {"class_path": "StepLR", "init_args": {"step_size": 1}},
    "init_from": None,
    "freeze": None,
}


def check_command(command: Callable, *args: str, codes: tuple[int, ...] = (0, 2)) -> None:
    os.environ.pop("PL_GLOBAL_SEED", None)  # of the example before
    before = listing()
    result = command(*args)
    assert result.code in codes, result.err
    assert "Traceback" not in result.err
    assert result.code == 0 or 1 <= len(result.err.strip().splitlines()) <= 12
    assert listing() == before


@examples(8, 800)
def test_a_config_file_with_broken_bytes(examples: int, zoo_command: Callable) -> None:
    def check(data: bytes) -> None:
        Path("c.yaml").write_bytes(data)
        check_command(zoo_command, "fit", "--config", "c.yaml", "--run_dir", "run", "--print_config")

    fuzz(check, examples, broken(*CONFIG_FILES))


@pytest.mark.filterwarnings("ignore")  # Lightning's, about odd values that it takes
@examples(8, 500)
def test_a_config_of_other_values(examples: int, zoo_command: Callable) -> None:
    def check(places: list[tuple[int, Any]]) -> None:
        Path("c.yaml").write_text(yaml.safe_dump(changed(SMALL, places)))
        options = ["--run_dir", "run", "--trainer.fast_dev_run", "1", "--trainer.accelerator", "cpu"]
        # 1: a number that torch alone can tell to be wrong, when it trains with it
        check_command(zoo_command, "fit", "--config", "c.yaml", *options, codes=(0, 1, 2))

    fuzz(check, examples, CHANGES)


# -- checkpoints and bundles


@cache
def tiny() -> Any:
    torch.manual_seed(0)
    return zoo.create("char_lm_gru", vocab=list("ab "), hidden_size=2)


@cache
def checkpoint() -> dict[str, Any]:
    state = {f"model.network.{name}": weight for name, weight in tiny().network.state_dict().items()}
    best = {"dirpath": "a", "best_model_path": "a/b.ckpt", "best_k_models": {"a/b.ckpt": 1.0}}
    return {
        "state_dict": state,
        "hyper_parameters": tiny().config.as_dict(),
        "model_name": "char_lm_gru",
        "pytorch-lightning_version": "2.6.6",
        "config": "model: CharLM\n",
        "callbacks": {"BestCheckpoint": best},
    }


@cache
def parts() -> tuple[dict[str, Any], bytes]:
    """A bundle's config and its weights."""
    weights = safetensors.torch.save(tiny().network.state_dict())
    config = {"format_version": 1, "name": "char_lm_gru", "arguments": tiny().config.as_dict(), "dtype": "float32"}
    return {**config, "sha256": bundle.sha256(weights), "parameters": 1, "about": {"title": "a", "data": {}}}, weights


def saved(contents: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(contents, buffer)
    return buffer.getvalue()


def load_checkpoint(data: bytes) -> None:
    Path("a.ckpt").write_bytes(data)
    read_or_refuse(lambda: zoo.load("a.ckpt").generate("a", 3, seed=0))


def load_bundle(config: bytes, weights: bytes) -> None:
    Path("bundle").mkdir(exist_ok=True)
    Path("bundle/config.json").write_bytes(config)
    Path("bundle/model.safetensors").write_bytes(weights)
    read_or_refuse(lambda: bundle.card(bundle.read_config(Path("bundle"))))
    read_or_refuse(lambda: zoo.load("bundle").generate("a", 3, seed=0))


def load_weights(weights: bytes) -> None:
    """Those of a bundle whose digest says that they are as they should be."""
    load_bundle(json.dumps({**parts()[0], "sha256": bundle.sha256(weights)}).encode(), weights)


@examples(20, 5000)
def test_a_checkpoint_of_other_values(examples: int, folder: Path) -> None:
    fuzz(lambda places: load_checkpoint(saved(changed(checkpoint(), places))), examples, CHANGES)


@examples(20, 5000)
def test_a_bundle_whose_config_has_other_values(examples: int, folder: Path) -> None:
    config, weights = parts()
    fuzz(lambda places: load_bundle(json.dumps(changed(config, places)).encode(), weights), examples, CHANGES)


# -- files of broken bytes


def read_table(ending: str) -> Callable[[bytes], None]:
    def check(data: bytes) -> None:
        path = Path(f"file{ending}")
        path.write_bytes(data)
        read_or_refuse(lambda: read_pairs(str(path)))
        read_or_refuse(lambda: read_numbers(str(path), None))
        read_or_refuse(lambda: read_numbers(str(path), ["a"]))
        read_or_refuse(lambda: WordCompletion(path=str(path), word_length=None).setup())

    return check


def read_idx_file(data: bytes) -> None:
    Path("file").write_bytes(data)
    for axes in (1, 3):
        read_or_refuse(lambda axes=axes: read_idx(Path("file"), axes))  # type: ignore[misc]


def read_image(data: bytes) -> None:
    Path("file").write_bytes(data)
    read_or_refuse(lambda: images.features(images.read("file"), 8, 8))


def image(kind: str) -> bytes:
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(buffer := io.BytesIO(), kind)
    return buffer.getvalue()


def parquet() -> bytes:
    import datasets

    datasets.Dataset.from_dict({"a": ["x", "y"], "b": ["1", "2"]}).to_parquet(buffer := io.BytesIO())
    return buffer.getvalue()


TABLES = {
    ".csv": EN_KO.read_bytes,
    ".tsv": lambda: b"a\tb\n1\t2\n3\t4.5\n",
    ".txt": lambda: b"word\nwood\ngame\n",
    ".jsonl": lambda: b'{"a": "x", "b": 1}\n{"a": "y", "b": 2}\n',
    ".json": lambda: b'[{"a": 1, "b": 2.5}, {"a": 3, "b": null}]',
    ".parquet": parquet,
}
READERS: dict[str, tuple[Callable[[bytes], None], Callable[[], list[bytes]], int, int]] = {
    # what reads them, the whole files, and how many examples are few and many
    "checkpoint": (load_checkpoint, lambda: [saved(checkpoint())], 20, 5000),
    "bundle's config": (
        lambda data: load_bundle(data, parts()[1]),
        lambda: [json.dumps(parts()[0]).encode()],
        *(20, 5000),
    ),
    "bundle's weights": (
        load_weights,
        lambda: [parts()[1], parts()[1][:8] + b"{}" + parts()[1][10:]],
        *(20, 5000),
    ),
    "IDX": (
        read_idx_file,
        lambda: [struct.pack(">4I", 0x803, 2, 2, 2) + bytes(8), struct.pack(">2I", 0x801, 3) + bytes(3)],
        *(60, 5000),
    ),
    "image": (read_image, lambda: [image(kind) for kind in ("png", "jpeg", "gif", "tiff")], 20, 2000),
    **{
        ending: (read_table(ending), lambda whole=whole: [whole(), b"a,b\n1,2\n3,\n", b"1,2\n3,4\n"], 5, 500)
        for ending, whole in TABLES.items()
    },
}


@pytest.fixture
def collected() -> Iterator[None]:
    """What a test leaves is collected before the next one, so that its warnings are its own."""
    yield
    gc.collect()


@pytest.mark.usefixtures("collected")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # datasets closes no broken file
@pytest.mark.parametrize("many", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["few", "many"])
@pytest.mark.parametrize("kind", READERS)
def test_a_file_of_broken_bytes(kind: str, many: bool, folder: Path) -> None:
    check, files, few_examples, many_examples = READERS[kind]
    fuzz(check, many_examples if many else few_examples, broken(*files()))


@examples(20, 2000)
def test_a_text(examples: int, folder: Path) -> None:
    def check(data: bytes, mode: Any, normalization: Any) -> None:
        Path("file.txt").write_bytes(data)
        text = TextFile(paths=["file.txt"], mode=mode, seq_len=2, batch_size=2, normalization=normalization)
        read_or_refuse(lambda: [text.setup(), list(text.train_dataloader())])

    fuzz(
        check,
        examples,
        broken("Ünïcode, 한국어 text\r\n".encode() * 9),
        st.sampled_from(["windows", "stream"]),
        st.sampled_from([None, "NFKD"]),
    )


@examples(60, 5000)
def test_a_vocabulary(examples: int, folder: Path) -> None:
    def check(symbols: list[str], text: str, ids: list[int]) -> None:
        def read() -> None:
            vocab = Vocab(symbols)
            assert vocab.encode(text, "skip") == [vocab.id(symbol) for symbol in text if symbol in vocab]
            assert repr(vocab)
            assert len(vocab.encode(text)) == len(text)
            vocab.decode(number for number in ids if number in range(len(vocab)))

        read_or_refuse(read)

    fuzz(
        check,
        examples,
        st.lists(st.text(max_size=3), max_size=5),
        st.text("ab\0 ", max_size=5),
        st.lists(st.integers()),
    )
