import pytest
import torch

from datamodules import NumericSequences, TextString
from datamodules.examples import NONE
from datamodules.loader import EpochSampler, LaneSampler
from zoo.batch import IGNORE


def examples(sampler: EpochSampler | LaneSampler) -> list[int]:
    return [int(i) for batch in sampler for i in batch if i != NONE]


def test_the_order_is_a_function_of_seed_and_epoch() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        sampler = EpochSampler(50, 8, shuffle=True, seed=seed)
        sampler.set_epoch(epoch)
        torch.rand(3)  # nobody else's random numbers matter
        return examples(sampler)

    assert order(1, 0) == order(1, 0)
    assert order(1, 0) != order(1, 1)
    assert order(1, 0) != order(2, 0)
    assert sorted(order(1, 5)) == list(range(50))


@pytest.mark.parametrize("world_size", [1, 2, 3, 7])
def test_ranks_share_each_batch_without_loss_or_repetition(world_size: int) -> None:
    options = {"shuffle": True, "seed": 3, "world_size": world_size}
    ranks = [list(EpochSampler(23, 5, rank=rank, **options)) for rank in range(world_size)]
    whole = list(EpochSampler(23, 5, shuffle=True, seed=3))
    assert {len(batches) for batches in ranks} == {len(whole)}
    for number, batch in enumerate(whole):
        shares = [batches[number] for batches in ranks]
        assert len({len(share) for share in shares}) == 1
        together = torch.cat(shares)
        assert sorted(together[together != NONE].tolist()) == sorted(batch.tolist())


@pytest.mark.parametrize("world_size", [1, 2])
def test_lanes_are_contiguous_and_complete(world_size: int) -> None:
    ranks = [LaneSampler(11, 4, rank=rank, world_size=world_size) for rank in range(world_size)]
    assert sorted(sum((examples(rank) for rank in ranks), [])) == list(range(11))
    for rank in ranks:
        for lane in torch.stack(list(rank), 1):
            real = lane[lane != NONE]
            assert (real.diff() == 1).all()


@pytest.mark.parametrize("lanes", [1, 2, 7, 32])
@pytest.mark.parametrize("num_chunks", [1, 5, 31, 32, 33, 64, 65, 100])
def test_every_step_but_the_last_fills_all_lanes(num_chunks: int, lanes: int) -> None:
    batches = list(LaneSampler(num_chunks, lanes))
    assert len(batches) == len(LaneSampler(num_chunks, lanes)) == -(-num_chunks // lanes)
    assert all((batch != NONE).all() for batch in batches[:-1])
    longer = num_chunks % lanes or lanes
    assert (batches[-1] != NONE).tolist() == [lane < longer for lane in range(lanes)]
    in_order = torch.stack(batches, 1).flatten()
    assert in_order[in_order != NONE].tolist() == list(range(num_chunks))


def test_lanes_of_one_length_are_equal_slices() -> None:
    assert [batch.tolist() for batch in LaneSampler(6, 3)] == [[0, 2, 4], [1, 3, 5]]


def test_a_lane_begins_with_a_reset_and_no_other_chunk_does() -> None:
    data = TextString("a" * 66, mode="stream", seq_len=1, batch_size=32, val_fraction=0, test_fraction=0)
    data.setup()
    first, *others = data.train_dataloader()
    assert len(data.parts["train"]) == 65
    assert first.resets.all()
    assert [int((batch.targets[:, 0] != IGNORE).sum()) for batch in others] == [32, 1]
    assert not any(batch.resets[batch.targets[:, 0] != IGNORE].any() for batch in others)


def test_prediction_yields_each_example_once_and_no_filler() -> None:
    data = NumericSequences(batch_size=4)
    data.setup()
    assert sum(len(batch.targets) for batch in data.predict_dataloader()) == 13
