"""The template of torchrun on two hosts: the numbers of one host, also when one of them loses a process."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.hosts import Host, missing, two_hosts
from cluster.training import CONFIG, OPTIONS, TEMPLATES, differences, environment
from harness import children_of
from support import needs_alice

lacking = missing()
pytestmark = [
    needs_alice,
    pytest.mark.xdist_group("cluster"),
    pytest.mark.slow,
    pytest.mark.skipif(lacking is not None, reason=f"two hosts: {lacking}"),
]


@pytest.fixture
def hosts() -> Iterator[tuple[Host, Host]]:
    with two_hosts() as both:
        yield both


def start(hosts: tuple[Host, Host], folder: Path) -> list[subprocess.Popen[bytes]]:
    """Starts the same command on both hosts, one process each."""
    command = (TEMPLATES / "torchrun.sh", CONFIG, *OPTIONS, "--run_dir", "run")
    shell = environment(NNODES="2", HEAD="node1", JOB="test", NPROC="1")
    return [host.start(*command, output=folder / f"{host.name}.out", cwd=folder, env=shell) for host in hosts]


def story(folder: Path) -> str:
    return "\n".join(f"-- {file.name}\n{file.read_text()}" for file in sorted(folder.glob("*.out")))


def test_two_hosts_give_the_numbers_of_one(hosts: tuple[Host, Host], reference: Path, tmp_path: Path) -> None:
    codes = [process.wait(300) for process in start(hosts, tmp_path)]
    assert codes == [0, 0], story(tmp_path)
    assert not differences(tmp_path / "run", reference), story(tmp_path)


@pytest.mark.parametrize("loser", [0, 1])
def test_a_host_that_loses_its_process_goes_on_with_the_other(
    loser: int, hosts: tuple[Host, Host], reference: Path, tmp_path: Path
) -> None:
    processes = start(hosts, tmp_path)
    end = time.monotonic() + 120
    while "epoch 2/8" not in story(tmp_path):
        assert time.monotonic() < end, story(tmp_path)
        time.sleep(0.1)
    (agent,) = children_of(processes[loser].pid)
    os.kill(children_of(agent)[-1], signal.SIGKILL)
    codes = [process.wait(300) for process in processes]
    assert codes == [0, 0], story(tmp_path)
    assert not differences(tmp_path / "run", reference), story(tmp_path)
