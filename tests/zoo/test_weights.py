"""Every shipped model loads, and reaches what its card says, on the data of its config."""

import pytest
import torch

import zoo
from baselines import load_data
from results import evaluate
from support import CONFIGS, needs_alice, needs_grimm, needs_mnist
from zoo.files import bundle

pytestmark = pytest.mark.short

NEEDS = {
    "alice": [needs_alice],
    "grimm": [needs_grimm],
    "mnist": [needs_mnist],
    "gutenberg": [needs_alice, needs_grimm],
    "punctuation": [needs_alice, needs_grimm],
}


SLOW = {  # scored on much data, or on the same as another one
    *("char_lm_gru.grimm", "char_lm_lstm.grimm", "seq2seq_lstm.g2p_en", "seq_tagger_lstm.punctuation"),
    *("seq2seq_lstm.addition_attention", "seq_classifier_lstm.mnist_best", "seq_classifier_rnn.mnist_rows"),
}


def shipped() -> list:
    return [
        pytest.param(
            name,
            marks=[
                *(mark for key, marks in NEEDS.items() if key in name for mark in marks),
                *([pytest.mark.slow] if name in SLOW else []),
            ],
        )
        for name in sorted(bundle.shipped())
    ]


def test_the_promised_models_are_there_and_small() -> None:
    names = "char_lm_lstm.alice char_lm_lstm.alice_heldout char_lm_lstm.grimm char_lm_gru.grimm"
    names += " seq_classifier_rnn.mnist_rows seq_classifier_lstm.mnist_rows seq_classifier_lstm.four_letter_words"
    names += " seq_classifier_lstm.words_gutenberg seq2seq_rnn.toy_en_ko seq2seq_lstm.addition"
    names += " regressor_lstm.three_steps regressor_gru.co2 regressor_lem.adding char_lm_min_gru.copy"
    names += " char_lm_lstm.alice_best seq_classifier_lstm.mnist_best char_lm_qrnn.alice"
    names += " seq_classifier_fast_grnn.mnist_rows"
    names += " seq2seq_lstm.addition_attention seq2seq_lstm.g2p_en seq_tagger_lstm.punctuation"
    names += " seq_classifier_slstm.parity seq_classifier_m_lstm_krause.permutations"
    assert zoo.list_models(pretrained=True) == sorted(names.split())
    sizes = [path.stat().st_size for path in bundle.SHIPPED.rglob("model.safetensors")]
    assert max(sizes) <= 4e6
    assert sum(sizes) <= 25e6


@pytest.mark.parametrize("name", shipped())
def test_it_reaches_what_its_card_says(name: str) -> None:
    about = bundle.read_config(bundle.find_shipped(name))["about"]
    model = zoo.load(name)
    assert not model.training
    assert all(weight.dtype == torch.float32 for weight in model.network.parameters())
    metric, value = evaluate(model, load_data(CONFIGS / f"{about['config']}.yaml"))
    ((named, said),) = about["metrics"].items()
    assert (named, said) == (metric, pytest.approx(value, abs=1e-4))
    assert f"{named} {said}" in (bundle.SHIPPED / name / bundle.CARD).read_text()
