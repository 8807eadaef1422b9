"""What a run is trained on, in words."""

import platform
from pathlib import Path

import lightning as L
import torch


def hardware(trainer: L.Trainer) -> str:
    """Returns the names of the device and the processor, for example `AMD EPYC, 2 threads`."""
    device, count = trainer.strategy.root_device, trainer.world_size
    threads = torch.get_num_threads()
    parts = [processor(), f"{threads} thread{'s' if threads > 1 else ''}"]
    if device.type == "cuda":
        parts.insert(0, torch.cuda.get_device_name(device))
    elif device.type != "cpu":
        parts.insert(0, device.type)
    return ", ".join([*([f"{count} processes"] if count > 1 else []), *parts])


def processor() -> str:
    """Returns the name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # not Linux
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor() or platform.machine()
