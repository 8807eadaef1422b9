"""The metrics equal independent references, and keep their precision whatever the module's."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from lightning.pytorch.plugins import HalfPrecision
from torch import Tensor, distributed, multiprocessing, nn
from torch.nn.functional import cross_entropy
from torchmetrics import MeanSquaredError
from torchmetrics.functional import mean_squared_error
from torchmetrics.functional.classification import multiclass_accuracy
from torchmetrics.functional.text import char_error_rate, perplexity

from zoo.batch import IGNORE
from zoo.tasks import metrics
from zoo.tasks.metrics import BitsPerCharacter, Mean, Perplexity, Share

V = 7  # vocabulary
METRICS: tuple[type[Mean], ...] = (Mean, Share, BitsPerCharacter, Perplexity)
every_metric = pytest.mark.parametrize("metric_class", METRICS)
half = pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
Batch = tuple[Tensor, Tensor]


def batches(dtype: torch.dtype) -> list[Batch]:
    """Logits (B, T, V) and targets (B, T) of uneven batches, the last one without a single target."""
    generator = torch.Generator().manual_seed(0)
    made = []
    for rows, steps, kept in ((5, 11, 0.9), (1, 3, 0.5), (8, 2, 0.2), (2, 4, 0.0)):
        logits = 3 * torch.randn(rows, steps, V, generator=generator)
        targets = torch.randint(V, (rows, steps), generator=generator)
        ignored = torch.rand(rows, steps, generator=generator) >= kept
        made.append((logits.to(dtype), targets.masked_fill(ignored, IGNORE)))
    return made


def update(metric: Mean, logits: Tensor, targets: Tensor) -> None:
    right = (logits.argmax(-1) == targets).sum()
    total = right if isinstance(metric, Share) else metrics.summed_cross_entropy(logits, targets)
    metric.update(total, (targets != IGNORE).sum())


def reference(metric_class: type[Mean], given: list[Batch]) -> Tensor:
    """The metric of all batches at once, by torchmetrics' functions, in float64."""
    logits = torch.cat([logits.flatten(0, 1) for logits, _ in given]).double()
    targets = torch.cat([targets.flatten() for _, targets in given])
    if metric_class is Share:
        return multiclass_accuracy(logits, targets, V, average="micro", ignore_index=IGNORE).double()
    choices = perplexity(logits[None], targets[None], ignore_index=IGNORE)
    return {Mean: choices.log(), BitsPerCharacter: choices.log2(), Perplexity: choices}[metric_class]


# -- equal to references


@every_metric
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_a_metric_of_uneven_batches_equals_that_of_all_items_at_once(
    metric_class: type[Mean], dtype: torch.dtype
) -> None:
    metric = metric_class()
    for logits, targets in batches(dtype):
        update(metric, logits, targets)
    assert metric.compute().double().item() == pytest.approx(reference(metric_class, batches(dtype)).item(), rel=3e-7)


def test_a_mean_of_squares_equals_the_mean_squared_error() -> None:
    torch.manual_seed(0)
    sizes = [3, 1, 8]
    predictions, targets = torch.randn(sum(sizes)), torch.randn(sum(sizes))
    metric = Mean()
    for prediction, target in zip(predictions.split(sizes), targets.split(sizes), strict=True):
        metric.update((prediction - target).square().sum(), torch.tensor(len(target)))
    torch.testing.assert_close(metric.compute(), mean_squared_error(predictions, targets), rtol=3e-7, atol=0)


@every_metric
def test_states_merged_from_two_ranks_equal_one_rank(metric_class: type[Mean]) -> None:
    first, second = metric_class(), metric_class()
    given = batches(torch.bfloat16)
    for index, (logits, targets) in enumerate(given):
        update((first, second)[index % 2], logits, targets)
    first.merge_state(second)
    assert first.compute().item() == pytest.approx(reference(metric_class, given).item(), rel=3e-7)


def _run_rank(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    store = f"file://{folder}/store"
    distributed.init_process_group("gloo", init_method=store, rank=rank, world_size=2)
    module = nn.ModuleList([metric_class() for metric_class in METRICS]).to(torch.bfloat16)
    for logits, targets in batches(torch.bfloat16)[rank::2]:
        for metric in module:
            update(metric, logits, targets)  # type: ignore[arg-type]
    before = [dict(metric.metric_state) for metric in module]  # type: ignore[arg-type]
    values = [metric.compute() for metric in module]  # type: ignore[operator]
    assert before == [metric.metric_state for metric in module]  # a rank has its own sums back
    torch.save(values, Path(folder, f"{rank}.pt"))
    distributed.destroy_process_group()


def test_two_processes_agree_on_the_metrics_of_all_their_batches(tmp_path: Path) -> None:
    multiprocessing.start_processes(_run_rank, (str(tmp_path),), nprocs=2, start_method="fork")
    expected = [reference(metric_class, batches(torch.bfloat16)).item() for metric_class in METRICS]
    for rank in range(2):
        values = torch.load(tmp_path / f"{rank}.pt")
        assert [value.item() for value in values] == pytest.approx(expected, rel=3e-7)


def test_without_a_value_the_mean_is_nan() -> None:
    metric = Mean()
    metric.update(torch.tensor(0.0), torch.tensor(0))
    assert metric.compute().isnan()


@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_a_value_that_is_not_finite_stays_visible(value: float) -> None:
    metric = Mean()
    for total in (1.0, value, 1.0, 1.0):
        metric.update(torch.tensor(total), torch.tensor(1))
    assert not metric.compute().isfinite()


# -- precision


def dtypes(metric: Mean) -> dict[str, torch.dtype]:
    return {name: state.dtype for name, state in metric.metric_state.items()}  # type: ignore[union-attr]


@pytest.mark.parametrize("precision", ["bf16-true", "16-true"])
def test_random_bits_take_one_bit_each_under_half_precision(precision: str) -> None:
    lightning = HalfPrecision(precision)  # type: ignore[arg-type]
    with lightning.module_init_context():
        module = nn.ModuleDict({"bpc": BitsPerCharacter()})
    lightning.convert_module(module)
    metric: Mean = module["bpc"]  # type: ignore[assignment]
    for _ in range(2):  # epochs
        with lightning.forward_context():
            for _ in range(300):
                metric.update(torch.tensor(1000 * math.log(2), dtype=torch.float32), torch.tensor(1000))
        assert metric.compute().item() == pytest.approx(1.0, rel=1e-6)
        metric.reset()
    assert dtypes(metric) == dtypes(BitsPerCharacter())


@pytest.mark.parametrize(
    "cast",
    [
        lambda module: module.to(torch.bfloat16),
        lambda module: module.to(torch.float16),
        lambda module: module.to("cpu", torch.float64),
        lambda module: module.half(),
        lambda module: module.bfloat16(),
        lambda module: module.double(),
        lambda module: module.type(torch.float16),
        lambda module: [metric.set_dtype(torch.float16) for metric in module],
    ],
)
def test_a_cast_of_the_module_leaves_the_sums_alone(cast: Callable) -> None:
    module = nn.ModuleList([Mean()])
    metric: Mean = module[0]  # type: ignore[assignment]
    metric.update(torch.tensor(1001.0), torch.tensor(1000))
    before = dict(metric.metric_state)
    cast(module)
    assert metric.metric_state == before
    assert dtypes(metric) == dtypes(Mean())
    assert metric.compute().item() == pytest.approx(1.001)
    metric.reset()
    assert dtypes(metric) == dtypes(Mean())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.int64], ids=str)
def test_an_update_of_any_dtype_leaves_the_dtypes_of_the_states(dtype: torch.dtype) -> None:
    metric = Mean()
    metric.update(torch.tensor(3, dtype=dtype), torch.tensor(2))
    assert dtypes(metric) == dtypes(Mean())
    assert metric.count.dtype == torch.int64
    assert metric.compute() == 1.5


def test_no_state_is_of_a_dtype_that_some_devices_lack() -> None:
    assert torch.float64 not in dtypes(Mean()).values()  # MPS has none


def test_small_totals_are_not_lost_beside_a_large_sum() -> None:
    metric = Mean()
    metric.update(torch.tensor(1e10), torch.tensor(10**10))
    for _ in range(10_000):
        metric.update(torch.tensor(300.0), torch.tensor(100))
    assert metric.count == 10**10 + 10**6
    assert metric.compute().item() == pytest.approx((1e10 + 3e6) / (10**10 + 10**6), rel=2e-7)


def test_a_sum_of_many_totals_equals_the_exact_sum() -> None:
    torch.manual_seed(0)
    totals = torch.rand(20_000).exp() * 1e5
    metric = Mean()
    for total in totals:
        metric.update(total, torch.tensor(1))
    assert metric.compute().item() == pytest.approx(math.fsum(totals.tolist()) / len(totals), rel=1.2e-7)


# -- devices, captured states, no waiting


def test_the_states_and_their_defaults_move_with_the_module() -> None:
    module = nn.ModuleList([Mean()]).to("meta", torch.bfloat16)
    metric: Mean = module[0]  # type: ignore[assignment]
    for _ in range(2):
        assert {state.device.type for state in metric.metric_state.values()} == {"meta"}  # type: ignore[union-attr]
        assert dtypes(metric) == dtypes(Mean())
        assert metric.device.type == "meta"
        metric.reset()


def test_an_update_does_not_read_a_value_on_the_host() -> None:
    metric = Mean().to("meta")  # which has no values to read
    metric.update(torch.tensor(1.0, device="meta"), torch.tensor(1, device="meta"))
    assert metric.compute().device.type == "meta"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_an_update_does_not_wait_for_the_gpu() -> None:
    metric = Mean().to("cuda", torch.bfloat16)
    total, count = torch.tensor(3.0, device="cuda"), torch.tensor(2, device="cuda")
    torch.cuda.set_sync_debug_mode("error")
    try:
        metric.update(total, count)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert metric.compute().item() == 1.5


def test_a_captured_state_goes_on_to_the_bit(tmp_path: Path) -> None:
    torch.manual_seed(0)
    totals = torch.rand(200) * 1e6
    whole, first, second = Mean(), Mean(), nn.ModuleList([Mean()]).to(torch.bfloat16)[0]
    for index, total in enumerate(totals):
        whole.update(total, torch.tensor(3))
        if index == 120:
            torch.save(dict(first.metric_state), tmp_path / "state.pt")
            for name, value in torch.load(tmp_path / "state.pt").items():
                setattr(second, name, value)
        (first if index < 120 else second).update(total, torch.tensor(3))  # type: ignore[operator]
    assert second.metric_state == whole.metric_state
    assert second.compute() == whole.compute()  # type: ignore[operator]


def test_a_metric_is_not_part_of_the_weights() -> None:
    assert not Mean().state_dict()


def test_states_that_were_reset_in_inference_mode_can_be_updated_again_with_the_same_values() -> None:
    both = nn.ModuleList([Mean(), MeanSquaredError()])
    with torch.inference_mode():
        for metric in both:
            metric.reset()
        both[0].update(torch.tensor(3.0), torch.tensor(2))
    metrics.leave_inference_mode(both)
    both[0].update(torch.tensor(1.0), torch.tensor(2))
    both[1].update(torch.tensor([1.0]), torch.tensor([3.0]))
    assert [metric.compute().item() for metric in both] == [1.0, 4.0]


# -- cross entropy


@pytest.mark.parametrize("shape", [(64, 256), (5,), ()])
@half
def test_summed_cross_entropy_of_half_logits_equals_float64(dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    logits = (3 * torch.randn(*shape, 100)).to(dtype).requires_grad_()
    targets = torch.randint(100, shape)
    targets = targets.masked_fill(torch.rand(shape) < 0.3, IGNORE) if shape else targets
    total = metrics.summed_cross_entropy(logits, targets)
    total.backward()

    exact = logits.detach().double().requires_grad_()
    expected = cross_entropy(exact.reshape(-1, 100), targets.reshape(-1), ignore_index=IGNORE, reduction="sum")
    expected.backward()
    assert total.dtype == torch.float32
    assert total.item() == pytest.approx(expected.item(), rel=1e-6)
    assert logits.grad is not None
    assert logits.grad.dtype == dtype
    # rounded once, from float32; float16 has no smaller step than 6e-8
    epsilon = torch.finfo(dtype).eps / 2
    torch.testing.assert_close(logits.grad.double(), exact.grad, rtol=1.01 * epsilon, atol=6e-8)


def test_summed_cross_entropy_does_not_overflow_in_float16() -> None:
    logits, targets = torch.zeros(64, 256, V * 10, dtype=torch.float16), torch.zeros(64, 256, dtype=torch.long)
    assert metrics.summed_cross_entropy(logits, targets).item() == pytest.approx(64 * 256 * math.log(70), rel=1e-6)


def test_summed_cross_entropy_without_a_target_is_zero() -> None:
    logits = torch.randn(2, 3, V, requires_grad=True)
    total = metrics.summed_cross_entropy(logits, torch.full((2, 3), IGNORE))
    total.backward()
    assert total == 0
    assert logits.grad is not None
    assert not logits.grad.any()


def test_summed_cross_entropy_keeps_float64() -> None:
    logits, targets = torch.randn(4, V, dtype=torch.float64), torch.tensor([0, IGNORE, 2, 3])
    expected = cross_entropy(logits, targets, ignore_index=IGNORE, reduction="sum")
    assert torch.equal(metrics.summed_cross_entropy(logits, targets), expected)


# -- character errors


def test_edit_errors_give_the_character_error_rate_under_half_precision() -> None:
    predictions, targets = ["rain", "", "abcd", "사랑"], ["shine", "ab", "abcd", "사람"]
    lightning = HalfPrecision("bf16-true")
    metric: Mean = lightning.convert_module(nn.ModuleList([Mean()]))[0]  # type: ignore[index, assignment]
    with lightning.forward_context():
        for _ in range(200):
            for part in (slice(0, 1), slice(1, 4), slice(4, 4)):
                metric.update(*metrics.edit_errors(predictions[part], [[one] for one in targets[part]]))
    assert metric.count == 200 * 13
    torch.testing.assert_close(metric.compute(), char_error_rate(predictions, targets))
