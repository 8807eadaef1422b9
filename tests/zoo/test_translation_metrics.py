"""BLEU and chrF are those of sacreBLEU, over batches, and in every dtype."""

import pytest
import sacrebleu
import torch
from torch import nn

from zoo import Seq2Seq
from zoo.tasks.metrics import Bleu, Chrf

TARGETS = ["Two cats sit on the mat.", "It rains, doesn't it?", "The red dog sleeps in the garden."]
PREDICTED = ["Two cats sat on the mat.", "It rains, does it?", "A red dog sleeps in the old garden."]


@pytest.mark.parametrize("half", [False, True])
def test_they_equal_sacrebleus(half: bool) -> None:
    metrics = nn.ModuleList([Bleu(), Chrf()])
    metrics = metrics.to(torch.bfloat16) if half else metrics
    for metric in metrics:
        for predicted, target in zip(PREDICTED, TARGETS, strict=True):
            metric.update([predicted], [[target]])
    bleu = sacrebleu.corpus_bleu(PREDICTED, [TARGETS], smooth_method="none")
    chrf = sacrebleu.corpus_chrf(PREDICTED, [TARGETS])
    assert [100 * metric.compute().item() for metric in metrics] == pytest.approx([bleu.score, chrf.score], rel=1e-4)


def test_they_are_reported_where_targets_have_several_words() -> None:
    for symbols, reported in ((["a", "b"], False), (["a", " "], True)):
        task = Seq2Seq(["a"], ["<pad>", "<start>", "<end>", *symbols], hidden_size=2)
        task.configure_model()
        names = {stage: set(task.metrics[f"{stage}_metrics"]) & {"bleu", "chrf"} for stage in ("train", "val", "test")}
        wanted = {"train": set(), "val": {"bleu"}, "test": {"bleu", "chrf"}}
        assert names == (wanted if reported else {stage: set() for stage in wanted})
