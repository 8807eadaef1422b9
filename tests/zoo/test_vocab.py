import pytest

from zoo.vocab import END, PAD, START, Vocab


def test_text_survives_the_round_trip() -> None:
    text = "나무 wood"
    vocab = Vocab.of(text, [PAD, START, END])
    assert vocab.decode([*vocab.encode(text), vocab.id(END), vocab.id("w"), vocab.id(PAD)]) == text


def test_an_unknown_symbol_is_named_with_its_position() -> None:
    with pytest.raises(ValueError, match=r"'q' at position 2 is not among the 3 symbols 'a' 'b' 'c'"):
        Vocab("abc").encode("abq")
    with pytest.raises(ValueError, match="'q'"):
        Vocab("abc").id("q")


def test_a_vocabulary_is_an_ordered_set() -> None:
    assert list(Vocab.of("banana")) == ["a", "b", "n"]
    with pytest.raises(ValueError, match="duplicate symbol 'a'"):
        Vocab("aba")
    with pytest.raises(ValueError, match="no symbols"):
        Vocab("")
