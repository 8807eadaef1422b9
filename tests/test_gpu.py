"""What only a machine with GPUs can show; skipped elsewhere."""

import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import harness
from harness import CHAR_LM, EVERY_STEP, command

GPUS = torch.cuda.device_count()
STREAM = [*CHAR_LM, *EVERY_STEP, "--data.mode", "stream", "--data.seq_len", "4", "--seed_everything", "3"]


def run(folder: Path, *options: str, stop: bool = False) -> None:
    """Trains in a process of its own; to be stopped, with SIGTERM after the first checkpoint."""
    argv = ["fit", *STREAM, *options, "--run_dir", str(folder), "--trainer.deterministic", "true"]
    if not stop:
        result = command(argv)
        assert result.returncode == 0, result.stderr
        return
    with harness.start(argv) as process:
        assert harness.wait_for((folder / "checkpoints" / "last.ckpt").exists, 120)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 143


@pytest.mark.skipif(GPUS < 1, reason="needs a GPU")
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_a_run_on_a_gpu_goes_on_to_the_same_bits(precision: str, tmp_path: Path) -> None:
    options = ["--trainer.accelerator", "gpu", "--trainer.devices", "1", "--trainer.precision", precision]
    run(tmp_path / "straight", *options)
    run(tmp_path / "stopped", *options, stop=True)
    run(tmp_path / "stopped", *options, "--resume")
    assert harness.unlike(tmp_path / "straight", tmp_path / "stopped") == []


@pytest.mark.skipif(GPUS < 2, reason="needs two GPUs")
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_two_gpus_train_stop_and_go_on(strategy: str, tmp_path: Path, zoo_command: Callable) -> None:
    options = ["--trainer.accelerator", "gpu", "--trainer.devices", "2", "--trainer.strategy", strategy]
    run(tmp_path / "straight", *options)
    run(tmp_path / "stopped", *options, stop=True)
    run(tmp_path / "stopped", *options, "--resume")
    assert harness.unlike(tmp_path / "straight", tmp_path / "stopped") == []
    shutil.copy(tmp_path / "stopped" / "checkpoints" / "last.ckpt", "model.ckpt")
    assert zoo_command("generate", "model.ckpt", "--prompt", "the", "--length", "5").code == 0
