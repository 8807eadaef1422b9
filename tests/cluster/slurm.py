"""A SLURM cluster of two nodes on one machine, on the two hosts of `hosts`.

It has a key, a configuration and folders of its own, and knows nothing of a SLURM that the machine may have.
The first node runs the controller and what users run; each has two processors, whatever the machine has.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from cluster.hosts import Host, two_hosts

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scancel", "scontrol", "squeue", "sinfo")
CPUS = 2
ENDED = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY", "BOOT_FAIL", "DEADLINE")

CONFIGURATION = """\
ClusterName=test
SlurmctldHost=node1
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
# cred_expire is also how long a requeued job waits; 5 seconds is the least that SLURM takes.
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
# No waiting between a change and the decision about it.
SchedulerParameters=sched_min_interval=0,sched_interval=1,bf_interval=1
JobRequeue=1
MinJobAge=3600
ReturnToService=2
SlurmdTimeout=15
KillWait=10
SlurmdParameters=config_overrides
NodeName=node[1-2] CPUs={cpus} State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


class Slurm:
    """A running cluster.

    Args:
        folder: Where its own files lie.
        hosts: Its nodes.
        environment: The variables of who uses it.
    """

    def __init__(self, folder: Path, hosts: tuple[Host, Host], environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.nodes = {host.name: host for host in hosts}
        programs = f"{folder / 'bin'}{os.pathsep}{environment['PATH']}"
        self.environment = {**environment, "SLURM_CONF": str(folder / "slurm.conf"), "PATH": programs}

    def boot(self) -> None:
        """Writes the configuration and starts all daemons."""
        text = CONFIGURATION.format(folder=self.folder, cpus=CPUS)
        (self.folder / "slurm.conf").write_text(text)
        (self.folder / "state").mkdir()
        self._watch_requeues()
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        files = {"socket": "socket", "key-file": "key", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
        options = [f"--{option}={self.folder}/munge.{ending}" for option, ending in files.items()]
        self._daemon("node1", "munged", "--foreground", "--force", *options)
        self.until((self.folder / "munge.socket").exists, 10, "no munge")
        self._daemon("node1", "slurmctld", "-D", "-c")
        for name in self.nodes:
            self.start(name)

    def _watch_requeues(self) -> None:
        """Writes an `scontrol` that jobs find first, and that keeps a list of what it requeues."""
        program = self.folder / "bin" / "scontrol"
        program.parent.mkdir()
        real = shutil.which("scontrol", path=self.environment["PATH"])
        calls = self.folder / "requeue.calls"
        calls.touch()
        program.write_text(f'#!/bin/sh\n[ "$1" != requeue ] || echo "$2" >> {calls}\nexec {real} "$@"\n')
        program.chmod(0o755)

    def requeues(self, job: str) -> int:
        """How often anybody asked for a job to be requeued."""
        return (self.folder / "requeue.calls").read_text().splitlines().count(job)

    def start(self, name: str) -> None:
        """Starts a node's daemon, and waits until the node takes jobs."""
        self._daemon(name, "slurmd", "-D", "-c")
        self.until(lambda: self.node_state(name) == "idle", 60, f"{name} is not idle")

    def _daemon(self, name: str, *argv: str) -> None:
        output = self.folder / f"{argv[0]}-{name}.out"
        self.nodes[name].start(*argv, output=output, cwd=self.folder, env=self.environment)

    def node_state(self, name: str) -> str:
        """What SLURM thinks of a node: idle, down, ..."""
        try:
            return self.run("sinfo", "--noheader", "--nodes", name, "--format", "%T").strip()
        except RuntimeError:  # the controller doesn't answer yet
            return "unknown"

    def run(self, *argv: object, cwd: Path | None = None) -> str:
        """Runs a user's command on the first node; returns what it said."""
        return self.nodes["node1"].run(*argv, cwd=cwd, env=self.environment)

    def submit(self, script: Path, *args: object, options: tuple[object, ...] = (), cwd: Path) -> str:
        """Hands in a job script with its arguments, under `sbatch` options; returns the job's id."""
        return self.run("sbatch", "--parsable", *options, script, *args, cwd=cwd).split(";")[0].strip()

    def job(self, job: str) -> dict[str, str]:
        """All that SLURM knows of a job."""
        words = self.run("scontrol", "--oneliner", "show", "job", job).split()
        return dict(word.split("=", 1) for word in words if "=" in word)

    def log(self, job: str) -> str:
        """What a job said."""
        file = Path(self.job(job)["StdOut"])
        return file.read_text(errors="replace") if file.is_file() else ""

    def wait(self, job: str, timeout: float = 300) -> dict[str, str]:
        """Waits until a job has ended for good; returns what SLURM knows of it."""
        self.until(lambda: self.job(job)["JobState"] in ENDED, timeout, lambda: self.story(job))
        return self.job(job)

    def wait_for(self, job: str, text: str, timeout: float = 120) -> None:
        """Waits until a job has said something; it must not end before."""

        def said() -> bool:
            known = self.job(job)["JobState"] in ENDED  # before the log is read
            if text in self.log(job):
                return True
            if known:
                raise AssertionError(f"it ended before it said {text!r}\n{self.story(job)}")
            return False

        self.until(said, timeout, lambda: f"it never said {text!r}\n{self.story(job)}")

    def until(self, holds: Callable[[], bool], timeout: float, otherwise: str | Callable[[], str]) -> None:
        """Waits until something holds.

        Raises:
            AssertionError: If it doesn't in time.
        """
        end = time.monotonic() + timeout
        while not holds():
            if time.monotonic() > end:
                text = otherwise if isinstance(otherwise, str) else otherwise()
                raise AssertionError(f"{text}\n-- after {timeout} s; the daemons say:\n{self.daemons()}")
            time.sleep(0.2)

    def story(self, job: str) -> str:
        """All about a job, for a failing test."""
        return f"{self.run('scontrol', 'show', 'job', job)}\n-- it said:\n{self.log(job)}"

    def daemons(self) -> str:
        """The ends of all logs, for a failing test."""
        files = sorted([*self.folder.glob("*.log"), *self.folder.glob("*.out")])
        return "\n".join(f"-- {file.name}\n{file.read_text(errors='replace')[-3000:]}" for file in files)


@contextmanager
def slurm(environment: Mapping[str, str]) -> Iterator[Slurm]:
    """A cluster, from nothing to nothing, for users with these variables."""
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))  # short: a socket's path has at most 107 characters
    try:
        with two_hosts() as hosts:
            cluster = Slurm(folder, hosts, environment)
            cluster.boot()
            yield cluster
    finally:
        shutil.rmtree(folder, ignore_errors=True)
