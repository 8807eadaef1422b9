"""The job templates under a real SLURM of two nodes: requeued, refused, failed, and never a bit lost."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster.hosts import missing
from cluster.slurm import PROGRAMS, Slurm, slurm
from cluster.training import CONFIG, FAILS, OPTIONS, SLOWLY, TEMPLATES, differences, environment
from cluster.trouble import MESSAGE
from support import needs_alice

lacking = missing(*PROGRAMS)
pytestmark = [
    needs_alice,
    pytest.mark.xdist_group("cluster"),
    pytest.mark.skipif(lacking is not None, reason=f"SLURM {lacking}"),
]

ONE_NODE = ("--ntasks-per-node=2", "--gres=none", "--cpus-per-task=1", "--time=10")
TWO_NODES = ("--ntasks-per-node=1", *ONE_NODE[1:])


@pytest.fixture(scope="module")
def cluster() -> Iterator[Slurm]:
    with slurm(environment()) as running:
        yield running


def submit(cluster: Slurm, folder: Path, *args: object, nodes: int = 1, options: tuple[str, ...] = ()) -> str:
    """Hands in the template for one node or for two."""
    template = TEMPLATES / ("single_node.sbatch" if nodes == 1 else "multi_node.sbatch")
    options = (*(ONE_NODE if nodes == 1 else TWO_NODES), *options)
    return cluster.submit(template, CONFIG, *OPTIONS, *args, options=options, cwd=folder)


def run_of(folder: Path, job: str) -> Path:
    return folder / "runs" / "alice_lstm" / f"slurm-{job}"


def check_ended_as_if_never_stopped(cluster: Slurm, job: str, run: Path, reference: Path) -> None:
    """The job was requeued once, and nothing tells its run from one that was left alone."""
    state = cluster.wait(job)
    story = cluster.story(job)
    assert (state["JobState"], state["Restarts"]) == ("COMPLETED", "1"), story
    assert not differences(run, reference), story


def signal_one(cluster: Slurm, folder: Path, **settings: Any) -> str:
    """Hands in a job and signals it in its midst."""
    job = submit(cluster, folder, **settings)
    cluster.wait_for(job, "epoch 2/8")
    cluster.run("scancel", "--signal=USR1", job)
    return job


def test_a_signalled_job_of_one_task_requeues_itself(cluster: Slurm, reference_alone: Path, tmp_path: Path) -> None:
    job = signal_one(cluster, tmp_path, options=("--ntasks-per-node=1",))
    check_ended_as_if_never_stopped(cluster, job, run_of(tmp_path, job), reference_alone)
    assert cluster.requeues(job) == 1


@pytest.mark.slow
@pytest.mark.parametrize("nodes", [1, 2])
def test_a_signalled_job_requeues_itself_and_ends_as_if_never_stopped(
    nodes: int, cluster: Slurm, reference: Path, tmp_path: Path
) -> None:
    job = signal_one(cluster, tmp_path, nodes=nodes)
    check_ended_as_if_never_stopped(cluster, job, run_of(tmp_path, job), reference)
    assert cluster.requeues(job) == 1


@pytest.mark.slow
def test_a_job_out_of_time_requeues_itself(cluster: Slurm, reference: Path, tmp_path: Path) -> None:
    # SLURM looks every 30 seconds for jobs of which 10 + 30 are left, of a minute: after 20 to 50.
    job = submit(cluster, tmp_path, *SLOWLY, options=("--time=1", "--signal=SIGUSR1@10"))
    cluster.until(lambda: cluster.job(job)["Restarts"] == "1", 90, lambda: cluster.story(job))
    cluster.run("scontrol", "update", f"JobId={job}", "TimeLimit=10")  # a slow machine must not run out of it again
    check_ended_as_if_never_stopped(cluster, job, run_of(tmp_path, job), reference)
    assert cluster.requeues(job) == 1


@pytest.mark.slow
def test_a_job_that_others_requeue_goes_on(cluster: Slurm, reference: Path, tmp_path: Path) -> None:
    job = submit(cluster, tmp_path)
    cluster.wait_for(job, "epoch 2/8")
    cluster.run("scontrol", "requeue", job)  # as preemption does: SIGTERM, and SIGKILL after a while
    check_ended_as_if_never_stopped(cluster, job, run_of(tmp_path, job), reference)


@pytest.mark.slow
def test_a_job_goes_on_after_a_node_failed(cluster: Slurm, reference: Path, tmp_path: Path) -> None:
    job = submit(cluster, tmp_path, nodes=2)
    cluster.wait_for(job, "epoch 2/8")
    cluster.nodes["node2"].plug("down")
    cluster.nodes["node2"].crash()
    cluster.until(lambda: cluster.job(job)["Restarts"] == "1", 120, lambda: cluster.story(job))
    cluster.nodes["node2"].plug("up")
    cluster.start("node2")
    check_ended_as_if_never_stopped(cluster, job, run_of(tmp_path, job), reference)


@pytest.mark.slow
def test_a_job_trains_as_without_slurm_and_no_other_job_takes_its_folder(
    cluster: Slurm, reference: Path, tmp_path: Path
) -> None:
    first = submit(cluster, tmp_path, "--run_dir", "run")
    assert cluster.wait(first)["JobState"] == "COMPLETED", cluster.story(first)
    assert not differences(tmp_path / "run", reference)

    second = submit(cluster, tmp_path, "--run_dir", "run")
    assert cluster.wait(second)["JobState"] == "FAILED", cluster.story(second)
    assert "already holds a run" in cluster.log(second)
    assert not differences(tmp_path / "run", reference)


@pytest.mark.slow
def test_a_new_job_goes_on_with_a_cancelled_one_by_hand(cluster: Slurm, reference: Path, tmp_path: Path) -> None:
    first = submit(cluster, tmp_path, "--run_dir", "run")
    cluster.wait_for(first, "epoch 2/8")
    cluster.run("scancel", first)
    assert cluster.wait(first)["JobState"] == "CANCELLED", cluster.story(first)

    second = submit(cluster, tmp_path, "--run_dir", "run", "--resume")
    assert cluster.wait(second)["JobState"] == "COMPLETED", cluster.story(second)
    assert not differences(tmp_path / "run", reference), cluster.story(second)


@pytest.mark.slow
@pytest.mark.parametrize("nodes", [1, 2])
def test_a_failure_on_one_rank_ends_the_job_with_its_message(nodes: int, cluster: Slurm, tmp_path: Path) -> None:
    job = submit(cluster, tmp_path, *FAILS, nodes=nodes)
    cluster.wait_for(job, "epoch 1/8")
    state = cluster.wait(job, timeout=60)
    assert (state["JobState"], state["Restarts"]) == ("FAILED", "0"), cluster.story(job)
    assert MESSAGE in cluster.log(job)


@pytest.mark.slow
def test_an_array_trains_each_seed_and_requeues_only_the_one_that_was_signalled(cluster: Slurm, tmp_path: Path) -> None:
    options = ("--array=1-2", "--gres=none", "--cpus-per-task=1", "--time=10")
    array = cluster.submit(TEMPLATES / "seeds_array.sbatch", CONFIG, *OPTIONS, options=options, cwd=tmp_path)
    cluster.wait_for(f"{array}_2", "epoch 2/8")
    cluster.run("scancel", "--signal=USR1", f"{array}_2")
    states = {seed: cluster.wait(f"{array}_{seed}") for seed in (1, 2)}
    assert [state["JobState"] for state in states.values()] == ["COMPLETED"] * 2, cluster.story(f"{array}_2")
    assert [state["Restarts"] for state in states.values()] == ["0", "1"]
    assert cluster.requeues(f"{array}_2") == 1

    folder = tmp_path / "runs" / "alice_lstm" / f"array-{array}"
    alone = cluster.submit(
        TEMPLATES / "seeds_array.sbatch", CONFIG, *OPTIONS, options=(*options, "--array=2"), cwd=tmp_path
    )
    assert cluster.wait(f"{alone}_2")["JobState"] == "COMPLETED", cluster.story(f"{alone}_2")
    assert not differences(folder / "seed-2", folder.with_name(f"array-{alone}") / "seed-2")
    assert differences(folder / "seed-2", folder / "seed-1")


@pytest.mark.slow
def test_the_jobs_of_an_array_share_a_sweep_and_the_signalled_one_takes_its_trial_up_again(
    cluster: Slurm, tmp_path: Path
) -> None:
    (tmp_path / "space.yaml").write_text("model.lr: {low: 0.001, high: 0.01, log: true}\n")
    options = ("--array=1-2", "--gres=none", "--cpus-per-task=1", "--time=10")
    arguments = (CONFIG, "space.yaml", "--trials", "4", "--no_prune", *OPTIONS)
    array = cluster.submit(TEMPLATES / "sweep_array.sbatch", *arguments, options=options, cwd=tmp_path)
    sweep = tmp_path / "runs" / "alice_lstm" / f"sweep-{array}"

    def trained() -> str:
        """The job that trains a trial which has logged two epochs, if there is one."""
        for job in (1, 2):
            taken = [
                line.split()[1].rstrip(":") for line in cluster.log(f"{array}_{job}").splitlines() if "trial " in line
            ]
            output = sweep / f"trial-{int(taken[-1]):03d}" / "output.txt" if taken else None
            if output is not None and output.exists() and "epoch 2/8" in output.read_text():
                return f"{array}_{job}"
        return ""

    cluster.until(lambda: bool(trained()), 180, "no trial has trained")
    signalled = trained()
    cluster.run("scancel", "--signal=USR1", signalled)
    states = {job: cluster.wait(f"{array}_{job}") for job in (1, 2)}
    assert [state["JobState"] for state in states.values()] == ["COMPLETED"] * 2, cluster.story(signalled)
    assert cluster.requeues(signalled) == 1
    assert "taken up again" in "".join(cluster.log(f"{array}_{job}") for job in (1, 2))
    runs = [json.loads(path.read_text())["status"] for path in sorted(sweep.glob("trial-*/summary.json"))]
    assert runs == ["finished"] * 4
    assert (sweep / "best.yaml").exists()
