"""Saving and resuming runs. A resumed run gives the same results as one that was never stopped.

A checkpoint is the state of a run between two optimizer steps: after everything that belongs to the
last step (including validation and the end of an epoch), and before the next one. So all runs are
resumed in the same way, within an epoch or at its end.
"""

import random
import shlex
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.fabric.utilities.apply_func import move_data_to_device
from torch import Tensor
from torch import distributed as dist

from zoo.files.run import LAST, older, step_name
from zoo.runs import internals
from zoo.runs.best import BestCheckpoint, validates
from zoo.runs.files import WholeCheckpointIO
from zoo.runs.processes import end_children, machine, say
from zoo.runs.stopping import EXIT_CODES, DivergedError, Pruned, Signals, Stopped
from zoo.tasks import Task

RESUME = "resume"  # the key of this module's part of a checkpoint
State = dict[str, Any]


@dataclass
class CheckpointPolicy:
    """When to save a run's state. It is always saved after each epoch, at the end, and at a signal.

    Args:
        every_n_steps: Also save after this many optimizer steps; None: never.
        every_n_minutes: Also save after this many minutes; None: never.
        keep: Number of checkpoints to keep, including the last one.
    """

    every_n_steps: int | None = None
    every_n_minutes: float | None = 10.0
    keep: int = 2

    def check(self) -> None:
        """Raises ValueError if a number is not above 0."""
        for name in ("every_n_steps", "every_n_minutes", "keep"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"checkpoint.{name}: got {value}, expected above 0")


class RunState(L.Callback):
    """Saves and restores the state of a run. It must be the first of a trainer's callbacks.

    Args:
        folder: The folder of the run's checkpoints.
        policy: When to save.
        signals: The process's signals.
        io: The trainer's checkpoint plugin.
        best: The callback that keeps the best checkpoint.
        override: The settings to change in a resumed run, a `zoo.runs.continuation.Override`.
    """

    def __init__(
        self,
        folder: Path,
        policy: CheckpointPolicy,
        signals: Signals,
        io: WholeCheckpointIO,
        best: BestCheckpoint | None = None,
        override: Any = None,
    ) -> None:
        policy.check()
        self.folder, self.policy, self.signals = folder, policy, signals
        self.io, self.best = io, best
        self.facts: State = {}  # saved with the state: checksums of the data, and the machine
        self.override = override
        self.saved_step: int | None = None  # the step of the newest checkpoint
        self.saved_at = time.monotonic()
        self._to_restore: State | None = None
        self._payload: State | None = None  # set while this callback saves a checkpoint
        self._started = False
        self._bad_step: Tensor | None = None
        self._group: Any = None
        self._validated_step = -1  # the step of the last validation
        self._random_before_validation: State = {}

    # -- between two steps

    def setup(self, trainer: L.Trainer, pl_module: Any, stage: str) -> None:
        """Records the checksums of the data."""
        self.facts = {"data": getattr(trainer.datamodule, "sources", {}), **machine()}  # type: ignore[attr-defined]

    def on_fit_start(self, trainer: L.Trainer, pl_module: Any) -> None:
        """Stops immediately if the run was already finished."""
        self._started = True
        if self._to_restore is not None and self._to_restore["finished"] and self.override is None:
            recall(trainer, pl_module, self._to_restore)  # needed to draw the pictures
            trainer.should_stop = True

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Makes signals wait for the end of a step."""
        self._bad_step = torch.full((), -1, device=pl_module.device)
        if trainer.world_size > 1:  # a separate group, so that asking the other ranks never waits for a device
            self._group = dist.new_group(backend="gloo")
        if self._to_restore is not None:
            internals.leave_finished_epoch(trainer)
            trainer.accumulate_grad_batches = self._to_restore["accumulate_grad_batches"]
        if self._to_restore is not None and self.override is not None:
            self.override.apply(trainer)
        self.signals.defer()

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Restores the state once after a resume. Otherwise saves it if it is due."""
        if self._to_restore is not None:
            restore(trainer, pl_module, self._to_restore)
            self._to_restore = None
        elif batch_idx % trainer.accumulate_grad_batches == 0:
            self._between_steps(trainer, pl_module, batch_idx)

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Records the first step whose loss is not finite, without synchronizing with the device."""
        assert self._bad_step is not None
        bad = ~outputs["loss"].isfinite() & (self._bad_step < 0)
        self._bad_step = torch.where(bad, trainer.global_step, self._bad_step)
        if 0 <= trainer.max_steps <= trainer.global_step:  # so that the epoch ends with a validation
            trainer.should_stop = True

    def on_train_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        """Saves the last state."""
        self._check_finite(trainer, list(pl_module.parameters()))
        if self._to_restore is None:  # otherwise the run was already finished
            self._validate_last(trainer, pl_module)
        self.save(trainer, pl_module, finished=True)
        (received,) = self._agree(self.signals.received)
        self.signals.stop_deferring()
        if received:
            raise Stopped(received)

    def _between_steps(self, trainer: L.Trainer, task: Task, batch_idx: int) -> None:
        step, policy = trainer.global_step, self.policy
        minutes = (time.monotonic() - self.saved_at) / 60
        overdue = policy.every_n_minutes is not None and minutes > policy.every_n_minutes
        received, late = self._agree(self.signals.received, overdue)
        by_steps = policy.every_n_steps is not None and step % policy.every_n_steps == 0
        due = step > 0 and (received or late or by_steps or batch_idx == 0)
        if due or step % trainer.log_every_n_steps == 0:  # type: ignore[attr-defined]
            self._check_finite(trainer, list(task.parameters()) if due else [])
        if due:
            self.save(trainer, task)
        if received:
            self.signals.stop_deferring()
            if received in EXIT_CODES:  # otherwise the job is requeued, and the run resumes soon
                self._validate_last(trainer, task, "saved; validating once more, a second signal stops this")
            raise Stopped(received)

    def _validate_last(self, trainer: L.Trainer, task: Task, told: str = "") -> None:
        """Validates the weights with which a run ends, unless this was just done, so that they can be the best ones."""
        if self.best is None or not validates(trainer) or self._validated_step == trainer.global_step:
            return
        if told:
            say(told, sys.stderr)
            if trainer.is_global_zero:
                self.best.put_aside()
        internals.validate(trainer)
        self.best.on_train_epoch_end(trainer, task)

    def _check_finite(self, trainer: L.Trainer, weights: list[Tensor]) -> None:
        damaged_here = not all(torch.stack([weight.detach().isfinite().all() for weight in weights]) if weights else [])
        step, damaged = self._agree(int(self._bad_step), damaged_here)  # type: ignore[arg-type]
        if step >= 0 or damaged:
            raise DivergedError(*((step, "the loss") if step >= 0 else (trainer.global_step, "a weight")))

    def _agree(self, *values: int) -> list[int]:
        """Returns the maximum of each value over all ranks."""
        if self._group is None:
            return list(values)
        tensor = torch.tensor(values)
        dist.all_reduce(tensor, dist.ReduceOp.MAX, self._group)
        return tensor.tolist()

    def on_exception(self, trainer: L.Trainer, pl_module: Any, exception: BaseException) -> None:
        """Prints where the run stopped and how to resume it, and ends its other processes."""
        end_children(trainer)
        if not trainer.is_global_zero or not self._started:
            return
        if isinstance(exception, DivergedError):
            how = "try a smaller learning rate, or --trainer.gradient_clip_val 1, or a precision of 32, in a new run"
        else:
            how = "resume with" if self.saved_step is not None else "start again with"
            how += f": python -m zoo fit --run_dir {shlex.quote(str(self.folder.parent))} --resume"
        why = "stopped "
        if isinstance(exception, Stopped | Pruned):
            why = f"{exception} "
        if isinstance(exception, Stopped):
            exception.told = True
        saved = "there is no checkpoint yet"
        if self.saved_step is not None:
            saved = f"the last {'good ' if isinstance(exception, DivergedError) else ''}checkpoint"
            saved += f" is {self.folder / LAST}, of step {self.saved_step:,}"
        at = f"in epoch {trainer.current_epoch + 1}, at step {trainer.global_step:,}"
        at = at if trainer.state.fn == "fit" else "while the best checkpoint was tested"
        print(f"\n{why}{at}; {saved}\n{how}", file=sys.stderr, flush=True)

    # -- around validation

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Keeps the random state, so that validation does not affect training."""
        self._random_before_validation = random_state()

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Restores the random state."""
        set_random_state(self._random_before_validation)
        self._validated_step = -1 if trainer.sanity_checking else trainer.global_step

    # -- the checkpoint

    def save(self, trainer: L.Trainer, task: Task, finished: bool = False) -> None:
        """Saves the state. All ranks must call it."""
        mine = capture(trainer, task)
        ranks: list[Any] = [mine]
        if self._group is not None:
            ranks = [None] * trainer.world_size
            dist.gather_object(mine, ranks if trainer.is_global_zero else None, group=self._group)
        self._payload = {
            "finished": finished,
            "facts": self.facts,
            "world_size": trainer.world_size,
            "validation": trainer.fit_loop.epoch_loop.val_loop.batch_progress.state_dict(),
            "batches_that_stepped": internals.batches_that_stepped(trainer),
            "accumulate_grad_batches": trainer.accumulate_grad_batches,
            "ranks": ranks,
        }
        if self.policy.keep > 1 and self.saved_step not in (None, trainer.global_step):
            self.io.aside = self.folder / step_name(self.saved_step)  # type: ignore[arg-type]
        try:
            trainer.save_checkpoint(self.folder / LAST, weights_only=False)
        finally:
            self._payload = None
        self.saved_step, self.saved_at = trainer.global_step, time.monotonic()
        if trainer.is_global_zero:
            for path in older(self.folder)[self.policy.keep - 1 :]:
                path.unlink(missing_ok=True)

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: Any, checkpoint: State) -> None:
        """Adds the state that Lightning does not save."""
        if self._payload is None:  # another callback saves it, for example BestCheckpoint
            return
        checkpoint[RESUME] = self._payload
        if not self._payload["finished"]:  # a batch was fetched, but not yet trained on
            loop = checkpoint["loops"]["fit_loop"]
            loop["epoch_loop.batch_progress"]["is_last_batch"] = False
            for loader in loop["state_dict"].get("combined_loader", []):
                loader["batch"] -= 1

    def on_load_checkpoint(self, trainer: L.Trainer, pl_module: Any, checkpoint: State) -> None:
        """Keeps the state of a checkpoint until the first step."""
        if trainer.state.fn == "fit" and RESUME in checkpoint:
            self._to_restore = checkpoint[RESUME]
            if Path(str(trainer.ckpt_path)).name == LAST:  # otherwise the last one is damaged, and is not kept
                self.saved_step = checkpoint["global_step"]


def capture(trainer: L.Trainer, task: Task) -> State:
    """Returns the state of this rank, as plain values and tensors on the CPU."""
    metrics = task.metrics["train_metrics"].items()  # type: ignore[operator, union-attr]
    state = {
        "random": random_state(),
        "task": {name: getattr(task, name) for name in task.remembers},
        "metrics": {name: dict(metric.metric_state) for name, metric in metrics},
        "callback_metrics": dict(trainer.callback_metrics),
    }
    return move_data_to_device(state, torch.device("cpu"))


def restore(trainer: L.Trainer, task: Task, state: State) -> None:
    """Restores the state from `capture`, and corrects the counters of Lightning's loops after a restart."""
    loop = trainer.fit_loop
    internals.forget_restart(trainer)
    progress = loop.epoch_loop.batch_progress.total
    progress.ready = progress.completed + 1
    internals.set_batches_that_stepped(trainer, state["batches_that_stepped"])
    loop.epoch_loop.val_loop.batch_progress.load_state_dict(state["validation"])
    if (mine := recall(trainer, task, state)) is None:
        return
    for name, values in mine["metrics"].items():
        metric = task.metric("train", name)
        for part, value in values.items():
            setattr(metric, part, value)
    trainer.callback_metrics.update(mine["callback_metrics"])
    set_random_state(mine["random"])


def recall(trainer: L.Trainer, task: Task, state: State) -> State | None:
    """Restores the attributes that a task remembers. Returns the state of this rank.

    If the number of ranks has changed, it restores nothing and returns None.
    """
    if state["world_size"] != trainer.world_size:
        return None
    mine: State = move_data_to_device(state["ranks"][trainer.global_rank], task.device)
    for name, value in mine["task"].items():
        setattr(task, name, value)
    return mine


def random_state() -> State:
    """Returns the states of all random generators of this process, as plain values and tensors."""
    kind, keys, *rest = np.random.get_state(legacy=True)
    version, numbers, gauss = random.getstate()
    state = {
        "torch": torch.get_rng_state(),
        "numpy": (kind, torch.from_numpy(np.asarray(keys, dtype=np.int64)), *rest),
        "python": (version, torch.tensor(numbers), gauss),
    }
    if torch.cuda.is_initialized():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def set_random_state(state: State) -> None:
    """Restores the states from `random_state`."""
    torch.set_rng_state(state["torch"].cpu())
    kind, keys, *rest = state["numpy"]
    np.random.set_state((kind, keys.cpu().numpy(), *rest))
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers.tolist()), gauss))
    if "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"].cpu())
