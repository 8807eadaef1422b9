"""Running a server until it is stopped."""

import socket
from collections.abc import Callable, Mapping

import uvicorn

from zoo.methods.base import Methods
from zoo.serve.app import create
from zoo.serve.served import Limits

PATIENCE = 30  # seconds that running requests may take after a stop


def listen(host: str, port: int) -> socket.socket:
    """Takes an address; port 0 takes any free one.

    Raises:
        OSError: If it is taken, or is none of this computer.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # with it, asyncio sends without delay
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((host, port))
    except OSError:
        found.close()
        raise
    return found


def serve(
    models: Mapping[str, Methods], taken: socket.socket, host: str, limits: Limits, ready: Callable[[], None]
) -> None:
    """Answers requests until SIGINT or SIGTERM. Requests that run then are finished, no new ones are taken."""
    app = create(models, limits, host)
    config = uvicorn.Config(
        app, log_level="critical", access_log=False, timeout_graceful_shutdown=PATIENCE, server_header=False
    )
    server = uvicorn.Server(config)
    taken.listen(config.backlog)
    ready()
    server.run(sockets=[taken])
