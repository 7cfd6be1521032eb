"""A stand-in for the Hugging Face Hub: the routes that uploading a folder and downloading a snapshot need."""

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit

Files = dict[str, bytes]


class Hub(ThreadingHTTPServer):
    """Repositories by name ("owner/name", "datasets/owner/name"), each with commits, and branches that name them."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.commits: dict[str, list[Files]] = {}
        self.branches: dict[str, dict[str, int]] = {}
        self.fetched: list[str] = []
        self.checked_cards: list[str] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def create(self, repo: str) -> None:
        if repo not in self.commits:
            self.commits[repo], self.branches[repo] = [{}], {"main": 0}

    def commit(self, repo: str, files: Files, branch: str = "main") -> None:
        self.create(repo)
        before = self.commits[repo][self.branches[repo][branch]]
        self.commits[repo].append({**before, **files})
        self.branches[repo][branch] = len(self.commits[repo]) - 1

    def find(self, repo: str, revision: str) -> tuple[str, Files] | None:
        """Return a commit's name and files."""
        commits = self.commits.get(repo, [])
        names = {f"{number:040x}": number for number in range(len(commits))}
        number = self.branches.get(repo, {}).get(revision, names.get(revision))
        return None if number is None else (f"{number:040x}", commits[number])


@contextmanager
def serving() -> Iterator[Hub]:
    with Hub() as server:
        thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def log_message(self, *_: Any) -> None: ...

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path).strip("/")
        if match := re.fullmatch(r"api/(model|dataset)s/([^/]+/[^/]+)/(revision|tree)/(.+)", path):
            kind, name, what, revision = match.groups()
            found = self.server.find(name if kind == "model" else f"datasets/{name}", revision)
            if found is None:
                self._missing("RevisionNotFound" if self._known(kind, name) else "RepoNotFound")
            elif what == "revision":
                siblings = [{"rfilename": file} for file in found[1]]
                self._json({"id": name, "sha": found[0], "siblings": siblings, "tags": [], "private": False})
            else:
                self._json([_entry(file, content) for file, content in found[1].items()])
        elif match := re.fullmatch(r"((?:datasets/)?[^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            repo, revision, file = match.groups()
            found = self.server.find(repo, revision)
            if found is None or file not in found[1]:
                self._missing("EntryNotFound" if found else "RepoNotFound")
                return
            if self.command == "GET":
                self.server.fetched.append(file)
            content = found[1][file]
            headers = {"X-Repo-Commit": found[0], "ETag": f'"{_git_name(content)}"'}
            self._send(200, content, "application/octet-stream", headers)
        else:
            self._missing("EntryNotFound")

    do_HEAD = do_GET

    def do_POST(self) -> None:
        body, path = self._body(), unquote(urlsplit(self.path).path).strip("/")
        if path == "api/validate-yaml":
            self.server.checked_cards.append(json.loads(body)["content"])
            self._json({"errors": [], "warnings": []})
        elif path == "api/repos/create":
            asked = json.loads(body)
            repo = f"{asked['organization']}/{asked['name']}"
            self.server.create(repo)
            self._json({"url": f"{self.server.address}/{repo}", "id": repo})
        elif match := re.fullmatch(r"api/models/([^/]+/[^/]+)/branch/(.+)", path):
            self.server.branches[match[1]].setdefault(match[2], self.server.branches[match[1]]["main"])
            self._json({})
        elif re.fullmatch(r"api/models/[^/]+/[^/]+/preupload/.+", path):
            # The Hub takes large files by another protocol, Xet, whose server is not stood in for.
            modes = [{"path": file["path"], "uploadMode": "regular"} for file in json.loads(body)["files"]]
            self._json({"files": [{**mode, "shouldIgnore": False} for mode in modes]})
        elif match := re.fullmatch(r"api/models/([^/]+/[^/]+)/commit/(.+)", path):
            lines = [json.loads(line) for line in body.splitlines()]
            added = [line["value"] for line in lines if line["key"] == "file"]
            files = {file["path"]: base64.b64decode(file["content"]) for file in added}
            self.server.commit(match[1], files, match[2])
            name = f"{self.server.branches[match[1]][match[2]]:040x}"
            self._json({"commitUrl": f"{self.server.address}/{match[1]}/commit/{name}", "commitOid": name})
        else:
            self._missing("EntryNotFound")

    def _known(self, kind: str, name: str) -> bool:
        return (name if kind == "model" else f"datasets/{name}") in self.server.commits

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _json(self, value: Any) -> None:
        self._send(200, json.dumps(value).encode(), "application/json", {})

    def _missing(self, code: str) -> None:
        self._send(404, b"{}", "application/json", {"X-Error-Code": code})

    def _send(self, status: int, content: bytes, kind: str, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def _entry(file: str, content: bytes) -> dict[str, Any]:
    return {"type": "file", "path": file, "size": len(content), "oid": _git_name(content)}


def _git_name(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
