"""The command serve."""

import socket

from zoo.cli.arguments import Command, Parser
from zoo.cli.errors import UsageError
from zoo.cli.sources import load, name_of
from zoo.methods.base import Methods


def parser() -> Parser:
    """Returns the parser."""
    made = Parser("serve", "Answer HTTP requests to some models, and show a page to try them.")
    made.add_argument(
        "models", nargs="+", metavar="MODEL", help="as for generate; also the folder of an export, which needs no torch"
    )
    made.add_argument("--host", default="127.0.0.1", help="the address to listen at; the default is local")
    made.add_argument("--port", type=int, default=8000, help="the port; 0 takes a free one")
    made.add_argument("--threads", type=int, default=1, help="of one operation; more pay off with wide layers")
    made.add_argument("--max_waiting", type=int, default=256, help="requests to one model at a time; more get 429")
    made.add_argument("--max_length", type=int, default=10_000, help="symbols to read or write; more get 413")
    made.add_argument("--max_bytes", type=int, default=1_000_000, help="of a request; more get 413")
    return made


def run(command: Command) -> int:
    """Runs serve; returns the exit code."""
    command.import_packages()
    given = parser().parse(command.argv)
    try:
        from zoo.serve.running import listen, serve
        from zoo.serve.served import ACTIONS, Limits
    except ModuleNotFoundError as error:
        raise UsageError(f"serve: it needs {error.name}; pip install 'rnn-zoo[serve]'") from error
    for name in ("threads", "max_waiting", "max_length", "max_bytes"):
        if getattr(given, name) < 1:
            raise UsageError(f"--{name}: got {getattr(given, name)}, expected at least 1")
    if not 0 <= given.port < 2**16:
        raise UsageError(f"--port: got {given.port}, expected 0 to 65535")
    try:
        taken = listen(given.host, given.port)
    except socket.gaierror as error:
        raise UsageError(f"--host: got {given.host!r}, expected an address of this computer") from error
    except OSError as error:
        raise UsageError(f"--port: {given.host}:{given.port} can't be used: {error.strerror}; try --port 0") from error
    models: dict[str, Methods] = {}
    for source in given.models:
        name = name_of(source)
        if name in models:
            raise UsageError(f"two models have the name {name}; rename the folder of one")
        models[name] = load(source, given.threads)
        if models[name].task_name not in ACTIONS:
            raise UsageError(f"{source}: a {models[name].task_name} can't be served, only {', '.join(ACTIONS)}")
    host, port = taken.getsockname()[:2]
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    limits = Limits(given.max_bytes, given.max_length, given.max_waiting)
    serve(models, taken, given.host, limits, lambda: print(f"{address}   {', '.join(models)}", flush=True))
    return 0
