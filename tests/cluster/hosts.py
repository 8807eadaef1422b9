"""Two hosts on one machine: each has namespaces of its own for network, names, mounts and processes.

A host lives as long as its first process, which waits for this process to close a pipe, or to die.
Then the kernel kills every process of the host and removes its network: nothing can stay behind.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

FIRST_PROCESS = "import signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); print(flush=True); sys.stdin.read()"
SET_UP = 'hostname "$1" && mount --bind "$2" /etc/hosts && ip link set lo up && shift 2 && exec "$@"'
SYSTEM_PATH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))


def missing(*programs: str) -> str | None:
    """Why this machine can have no such hosts, or lacks a program; None if all is there."""
    if os.geteuid() != 0:
        return "needs root"
    absent = [name for name in ("ip", "unshare", "nsenter", *programs) if not shutil.which(name, path=SYSTEM_PATH)]
    if absent:
        return f"needs {', '.join(absent)}"
    works = subprocess.run(
        ["unshare", "--net", "--mount", "--uts", "--pid", "--fork", "true"], check=False, capture_output=True
    )
    return None if works.returncode == 0 else f"needs namespaces: {works.stderr.decode().strip()}"


class Host:
    """A host, to run commands on.

    Args:
        name: Its hostname.
        address: Its address.
        hosts_file: What it takes for `/etc/hosts`.
    """

    def __init__(self, name: str, address: str, hosts_file: Path) -> None:
        self.name, self.address = name, address
        self._started: list[subprocess.Popen[bytes]] = []
        namespaces = ("--net", "--mount", "--uts", "--ipc", "--pid", "--fork", "--mount-proc")
        first = (sys.executable, "-I", "-S", "-c", FIRST_PROCESS)
        self._life = subprocess.Popen(
            ["unshare", *namespaces, "sh", "-c", SET_UP, "sh", name, str(hosts_file), *first],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PATH": SYSTEM_PATH},
        )
        if not self._life.stdout.readline():
            raise RuntimeError(f"{name} did not start: exit code {self._life.wait()}")
        children = Path(f"/proc/{self._life.pid}/task/{self._life.pid}/children")
        self.pid = int(children.read_text().split()[0])

    def command(self, *argv: object, cwd: Path | None = None) -> list[str]:
        """A command line that runs another one on this host."""
        enter = ["nsenter", "--target", str(self.pid), "--net", "--mount", "--uts", "--ipc", "--pid"]
        return [*enter, "env", "-C", str(cwd or Path.cwd()), *map(str, argv)]

    def start(
        self, *argv: object, output: Path, cwd: Path | None = None, env: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Starts a command; what it says goes to a file."""
        with output.open("ab") as file:
            process = subprocess.Popen(
                self.command(*argv, cwd=cwd),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=env or {**os.environ, "PATH": SYSTEM_PATH},
            )
        self._started.append(process)
        return process

    def run(
        self, *argv: object, cwd: Path | None = None, env: Mapping[str, str] | None = None, timeout: float = 30
    ) -> str:
        """Runs a command; returns what it said.

        Raises:
            RuntimeError: If it failed, or took too long.
        """
        with tempfile.NamedTemporaryFile() as file:  # no pipe: who outlives the command would keep it open
            process = self.start(*argv, output=Path(file.name), cwd=cwd, env=env)
            try:
                code: object = process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.crash()
                code = f"none after {timeout} s"
            text = Path(file.name).read_text(errors="replace")
        if code != 0:
            raise RuntimeError(f"{self.name}: {' '.join(map(str, argv))}: exit code {code}\n{text}")
        return text

    def crash(self) -> None:
        """Kills every process but the first."""
        subprocess.run(self.command("kill", "-KILL", "-1", cwd=Path("/")), check=False)

    def plug(self, state: str) -> None:
        """Puts the cable in ("up"), or pulls it out ("down"): the other host hears no more, not even of an end."""
        self.run("ip", "link", "set", "eth0", state)

    def close(self) -> None:
        """Ends the host, with all that it runs."""
        self._life.stdin.close()
        for process in (self._life, *self._started):
            process.wait(10)
        self._life.stdout.close()


@contextmanager
def two_hosts() -> Iterator[tuple[Host, Host]]:
    """`node1` and `node2`, joined by a cable; they know each other by name."""
    addresses = {"node1": "10.77.0.1", "node2": "10.77.0.2"}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hosts-")))
        table = folder / "hosts"
        table.write_text("127.0.0.1 localhost\n" + "".join(f"{addresses[name]} {name}\n" for name in addresses))
        hosts = []
        for name, address in addresses.items():
            hosts.append(Host(name, address, table))
            stack.callback(hosts[-1].close)
        one, two = hosts
        peer = ("type", "veth", "peer", "name", "eth0", "netns", str(two.pid))
        link = ["ip", "link", "add", "eth0", "netns", str(one.pid), *peer]
        subprocess.run(link, check=True, env={**os.environ, "PATH": SYSTEM_PATH})
        for host in hosts:
            host.run("ip", "address", "add", f"{host.address}/24", "dev", "eth0")
            host.plug("up")
        yield one, two
