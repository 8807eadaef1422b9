"""A stand-in for the Hugging Face Hub: keeps repositories in memory, and speaks what its client needs of HTTP."""

import base64
import hashlib
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

Files = dict[str, bytes]


class Hub:
    """A server on this machine. `revisions` holds, of each repository, the files of every commit and branch."""

    def __init__(self) -> None:
        self.revisions: dict[str, dict[str, Files]] = {}
        self.requests: list[str] = []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *args: Any) -> None:
                pass

            def do_GET(self) -> None:
                hub.answer(self)

            do_HEAD = do_POST = do_GET  # noqa: N815

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        Thread(target=self.server.serve_forever, daemon=True).start()

    def commit(self, repository: str, files: Files, branch: str = "main") -> str:
        """Adds files to a branch; returns the commit."""
        revisions = self.revisions.setdefault(repository, {})
        files = {**revisions.get(branch, {}), **files}
        number = hashlib.sha1(json.dumps({name: data.hex() for name, data in files.items()}).encode()).hexdigest()
        revisions[branch] = revisions[number] = files
        return number

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answers one request."""
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        path = request.path.split("?")[0].strip("/")
        self.requests.append(f"{request.command} {path}")
        parts = path.split("/")
        if parts[:2] == ["api", "repos"]:
            given = json.loads(body)
            repository = f"{given.get('organization') or 'me'}/{given['name']}"
            self.revisions.setdefault(repository, {"main": {}})
            return self._send(request, {"url": f"{self.url}/{repository}", "name": repository, "id": repository})
        if parts[:2] == ["api", "validate-yaml"]:
            return self._send(request, {"errors": [], "warnings": []})
        if parts[0] == "api" and len(parts) < 6:  # nothing of a repository
            return self._send(request, {"error": "not found"}, 404)
        if parts[0] == "api":
            return self._api(request, "/".join(parts[2:4]), parts[4], parts[5], body)
        parts = parts[parts[0] == "datasets" :]
        return self._file(request, "/".join(parts[:2]), parts[3], "/".join(parts[4:]))

    def _api(self, request: BaseHTTPRequestHandler, repository: str, what: str, revision: str, body: bytes) -> None:
        files = self.revisions.get(repository, {}).get(revision)
        if files is None:
            return self._send(request, {"error": "not found"}, 404, {"X-Error-Code": "RevisionNotFound"})
        if what == "preupload":
            names = [file["path"] for file in json.loads(body)["files"]]
            rows = [{"path": name, "uploadMode": "regular", "shouldIgnore": False, "oid": None} for name in names]
            return self._send(request, {"files": rows})
        if what == "commit":
            lines = [json.loads(line) for line in body.splitlines()]
            found = {line["value"]["path"]: line["value"] for line in lines if line["key"] == "file"}
            number = self.commit(
                repository, {name: base64.b64decode(v["content"]) for name, v in found.items()}, revision
            )
            answer = {"commitUrl": f"{self.url}/{repository}/commit/{number}", "commitOid": number, "hookOutput": ""}
            return self._send(request, answer)
        if what == "tree":
            rows = [
                {"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
                for name, data in files.items()
            ]
            return self._send(request, rows)
        siblings = [{"rfilename": name} for name in files]
        return self._send(request, {"id": repository, "sha": self._number(repository, files), "siblings": siblings})

    def _number(self, repository: str, files: Files) -> str:
        return next(name for name, found in self.revisions[repository].items() if found is files and len(name) == 40)

    def _file(self, request: BaseHTTPRequestHandler, repository: str, revision: str, name: str) -> None:
        files = self.revisions.get(repository, {}).get(revision)
        if files is None or name not in files:
            return self._send(request, {"error": "not found"}, 404, {"X-Error-Code": "EntryNotFound"})
        headers = {
            "ETag": f'"{hashlib.sha1(files[name]).hexdigest()}"',
            "X-Repo-Commit": self._number(repository, files),
        }
        return self._send(request, files[name], 200, headers)

    @staticmethod
    def _send(
        request: BaseHTTPRequestHandler, body: Any, code: int = 200, headers: dict[str, str] | None = None
    ) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        request.send_response(code)
        kind = "application/octet-stream" if isinstance(body, bytes) else "application/json"
        for name, value in {**(headers or {}), "Content-Type": kind, "Content-Length": str(len(data))}.items():
            request.send_header(name, value)
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(data)
