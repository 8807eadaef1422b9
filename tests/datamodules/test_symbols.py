"""Symbols that a datamodule writes, read back as text."""

from datamodules import ToySeq2Seq
from zoo.batch import IGNORE
from zoo.vocab import END, PAD, START, Vocab


def test_decoding_stops_before_the_end_and_shows_every_other_symbol() -> None:
    vocab = Vocab.of("ab", [PAD, START, END])
    pad, start, end, a, b = range(5)
    assert vocab.decode([a, b, end, a]) == "ab"
    assert vocab.decode([a, pad, b, end]) == "a<pad>b"
    assert vocab.decode([start, a, start]) == "<start>a<start>"


def test_an_impure_output_is_no_exact_match() -> None:
    data = ToySeq2Seq()
    data.setup()
    vocab = data.target_vocab
    first, *target = [i for i in data.parts["train"].rows.target[0].tolist() if i != IGNORE]
    assert first == vocab.id(START)
    assert vocab.decode(target) == "단어"
    for impure in (PAD, START):
        assert vocab.decode([target[0], vocab.id(impure), *target[1:]]) != "단어"
