"""The addresses of a server, and its answers."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

import zoo
from zoo import page
from zoo.checks import brief, nearest
from zoo.methods.base import Methods
from zoo.serve.served import Limits, Served, TooLargeError
from zoo.serve.worker import BusyError

log = logging.getLogger(__name__)
FAULTS: dict[type[Exception], int] = {
    TooLargeError: 413,
    SyntaxError: 400,
    **dict.fromkeys((ValueError, TypeError, OverflowError, RecursionError), 422),
}
LOCAL = ("127.0.0.1", "localhost", "::1")


def create(models: Mapping[str, Methods], limits: Limits, host: str) -> Starlette:
    """Makes the application.

    Args:
        models: The models, by their names in addresses.
        limits: What it takes.
        host: The address that it listens at. At one of this computer alone, requests to other hosts are refused, so
            that no foreign page can have them answered.
    """
    served: dict[str, Served] = {}

    @asynccontextmanager
    async def running(app: Starlette) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        served.update({name: Served(name, model, limits, loop) for name, model in models.items()})
        yield
        for one in served.values():
            await asyncio.to_thread(one.stop)

    async def health(request: Request) -> Response:
        return JSONResponse({"status": "ok", "version": zoo.__version__, "models": len(served)})

    async def list_models(request: Request) -> Response:
        return JSONResponse([one.description for one in served.values()])

    async def describe(request: Request) -> Response:
        return JSONResponse(openapi(served))

    async def act(request: Request) -> Response:
        name, action = request.path_params["name"], request.path_params["action"]
        if name not in served:
            raise HTTPException(404, f"unknown model {name!r}{nearest(name, served)}")
        if action not in served[name].actions:
            known = ", ".join(served[name].actions)
            raise HTTPException(404, f"{name}: no action {action!r}, expected one of {known}")
        try:
            asked = served[name].actions[action].parse(await _body(request, limits.bytes))
            found = getattr(served[name], action)(asked)
            if isinstance(found, AsyncIterator):
                return await _events(found)
            return JSONResponse(await _unless_gone(request, found))
        except (ClientDisconnect, asyncio.CancelledError):
            return Response(status_code=499)
        except BusyError:
            text = f"{limits.waiting} requests are waiting; try again later"
            return JSONResponse({"error": text}, 429, headers={"retry-after": "1"})
        except tuple(FAULTS) as error:
            status = next(status for kind, status in FAULTS.items() if isinstance(error, kind))
            headers = {"connection": "close"} if status == 413 else None  # so that the rest of a body is not read
            return JSONResponse({"error": " ".join(str(error).split())}, status, headers)

    local = [Middleware(LocalOnly)] if host in LOCAL else []
    return Starlette(
        routes=[
            Route("/health", health),
            Route("/models", list_models),
            Route("/openapi.json", describe),
            Route("/models/{name}/{action}", act, methods=["POST"]),
            *(Route(f"/{file.name}", _sends(file)) for file in page.files()),
            Route("/", _sends(page.HERE / "index.html")),
        ],
        lifespan=running,
        middleware=local,
        exception_handlers={HTTPException: _http_error, Exception: _internal_error},
    )


def _sends(file: Path) -> Callable[[Request], Any]:
    """Returns what answers with a file of the page."""

    async def send(request: Request) -> Response:
        return FileResponse(file, headers={"cache-control": "no-cache"})

    return send


class LocalOnly:
    """Refuses requests that another web page makes, or that name another host.

    Args:
        app: What answers the others.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request."""
        if scope["type"] == "http" and (reason := self._reason(Headers(scope=scope))):
            await JSONResponse({"error": reason}, 403)(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    @staticmethod
    def _reason(headers: Headers) -> str:
        """Returns why a request is refused, if it is."""
        host = headers.get("host", "")
        if urlsplit(f"//{host}").hostname not in LOCAL:
            return f"this server answers requests to {', '.join(LOCAL)} only, got {brief(host)}"
        origin = headers.get("origin")
        foreign = origin is not None and urlsplit(origin).netloc != host
        return "requests of other web pages are refused" if foreign else ""


async def _unless_gone(request: Request, answer: Coroutine[Any, Any, Any]) -> Any:
    """Returns an answer; if its client goes away, the work on it ends.

    Raises:
        ClientDisconnect: If the client has gone.
    """
    work, gone = asyncio.ensure_future(answer), asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            raise ClientDisconnect
        return work.result()
    finally:
        work.cancel()
        gone.cancel()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _body(request: Request, most: int) -> bytes:
    """Returns a body.

    Raises:
        TooLargeError: If it is too large; the rest of it is not read.
    """
    found = bytearray()
    async for piece in request.stream():
        found += piece
        if len(found) > most:
            raise TooLargeError(f"the body has more than {most} bytes")
    return bytes(found)


async def _events(found: AsyncIterator[Any]) -> Response:
    """Sends lists of symbols as server-sent events. What is wrong with a request shows before the first one."""
    first = await anext(found, None)

    async def events() -> AsyncIterator[str]:
        try:
            if first is not None:
                yield f"data: {_json(first)}\n\n"
            async for one in found:
                yield f"data: {_json(one)}\n\n"
            yield "event: done\ndata: {}\n\n"
        except Exception as error:
            log.error("a stream failed: %s: %s", type(error).__name__, error)
            yield f"event: error\ndata: {_json({'error': 'internal error'})}\n\n"
        finally:
            await found.aclose()  # type: ignore[attr-defined]

    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(events(), media_type="text/event-stream", headers=headers)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, headers=error.headers)


async def _internal_error(request: Request, error: Exception) -> Response:
    log.error("%s %s: %s: %s", request.method, request.url.path, type(error).__name__, error)
    return JSONResponse({"error": "internal error"}, 500)


def openapi(served: Mapping[str, Served]) -> dict[str, Any]:
    """Describes the addresses, as OpenAPI."""
    errors = {
        "400": "the body is no JSON object",
        "413": "it asks for too much",
        "422": "a field is wrong",
        "429": "too many requests are waiting",
    }
    paths: dict[str, Any] = {
        "/health": {"get": {"summary": "Whether the server runs", "responses": _responses({})}},
        "/models": {"get": {"summary": "The models", "responses": _responses({})}},
    }
    for name, one in served.items():
        for action, kind in one.actions.items():
            content = {"application/json": {"schema": kind.schema()}}
            paths[f"/models/{name}/{action}"] = {
                "post": {
                    "summary": f"{(kind.__doc__ or '').strip()} {one.description['title']}",
                    "operationId": f"{name}.{action}",
                    "requestBody": {"required": True, "content": content},
                    "responses": _responses(errors, "text/event-stream" if action == "stream" else "application/json"),
                }
            }
    info = {"title": "zoo", "version": zoo.__version__, "description": "Recurrent sequence models"}
    return {"openapi": "3.1.0", "info": info, "paths": paths}


def _responses(errors: Mapping[str, str], media_type: str = "application/json") -> dict[str, Any]:
    error = {"type": "object", "properties": {"error": {"type": "string"}}}
    return {
        "200": {"description": "the answer", "content": {media_type: {"schema": {}}}},
        **{
            code: {"description": text, "content": {"application/json": {"schema": error}}}
            for code, text in errors.items()
        },
    }
