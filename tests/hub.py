"""A Hugging Face Hub on the loopback device, for the tests: what huggingface_hub calls, with faults on demand.

It keeps repositories of models in memory: create, preupload, LFS upload, commit, tags, refs, tree and resolve, with the
headers the Hub answers with. Files that git LFS would keep are served, as there, by a redirect to another origin. It
does not offer Xet.

>>> with Hub() as hub:
...     os.environ["HF_ENDPOINT"] = hub.endpoint
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
import time
import types
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

import pytest

TOKEN = "hf_of_the_tests"
LFS_SUFFIXES = (".h5", ".npz", ".bin")


@dataclass
class Repository:
    """The commits of a repository, oldest first, each a table of the files; a tag is the name of a commit."""

    private: bool = False
    commits: list[tuple[str, dict[str, bytes]]] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)

    def commit(self, files: dict[str, bytes]) -> str:
        digest = hashlib.sha1(str(len(self.commits)).encode())
        for name, content in sorted(files.items()):
            digest.update(name.encode() + b"\0" + content)
        self.commits.append((digest.hexdigest(), files))
        return digest.hexdigest()

    def at(self, revision: str) -> tuple[str, dict[str, bytes]] | None:
        """The commit that a branch, a tag or a hash names."""
        if revision == "main":
            return self.commits[-1]
        revision = self.tags.get(revision, revision)
        return next((commit for commit in self.commits if commit[0] == revision), None)


@dataclass
class Fault:
    """What goes wrong with the requests that match.

    Attributes:
        kind: an HTTP status (403), or "truncate" (the connection ends in the middle of the body), "short" (half of the
            file, said to be all of it), "garble" (as many bytes, one of them wrong), "html" (a page instead), "drop"
            (the connection ends without an answer), "lost" (what is asked is done, but not answered) or "slow".
        path: a regular expression that the method and the path, "GET /api/models/...", contain a match of.
        times: how many requests go wrong before all is well again; None for all of them.
        seconds: how long "slow" waits before the body.
    """

    kind: int | str
    path: str = ""
    times: int | None = None
    seconds: float = 1.0

    def strikes(self, request: str) -> bool:
        if self.times == 0 or not re.search(self.path, request):
            return False
        if self.times is not None:
            self.times -= 1
        return True


class Hub:
    """The server. Use it as a context manager, or call `stop`."""

    def __init__(self, token: str = TOKEN):
        self.token = token
        self.user = "tester"
        self.repositories: dict[str, Repository] = {}
        self.large: dict[str, bytes] = {}  # what was uploaded by LFS, by its sha256
        self.faults: list[Fault] = []
        self.requests: list[str] = []
        self.lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"hub": self})
        self._servers = [_Server(("127.0.0.1", 0), handler) for _ in range(2)]
        self.endpoint, self.cdn = (f"http://127.0.0.1:{server.server_address[1]}" for server in self._servers)
        for server in self._servers:
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def __enter__(self) -> Hub:
        return self

    def __exit__(self, *_) -> None:
        self.stop()

    def stop(self) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def add(self, repo_id: str, files: dict[str, bytes], private: bool = False) -> str:
        """Puts files into a repository, new or not, without a request; returns the commit."""
        repository = self.repositories.setdefault(repo_id, Repository(private))
        before = repository.commits[-1][1] if repository.commits else {}
        return repository.commit({**before, **files})

    def fault(self, kind: int | str, path: str = "", times: int | None = None, seconds: float = 1.0) -> None:
        """From now on the requests that match go wrong; see `Fault`."""
        self.faults.append(Fault(kind, path, times, seconds))

    def heal(self) -> None:
        """Ends all faults."""
        self.faults.clear()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """A client that went away is nothing to report."""


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self._answer()

    do_HEAD = do_POST = do_PUT = do_DELETE = do_GET

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        body = self._body()
        request = f"{self.command} {path}"
        with self.hub.lock:
            self.hub.requests.append(request)
            fault = next((fault for fault in self.hub.faults if fault.strikes(request)), None)
        self.fault = fault.kind if fault else None
        if isinstance(self.fault, int):
            return self._error(self.fault, "a fault of the tests")
        if self.fault == "drop":
            self.close_connection = True
            return None
        if self.fault == "slow":
            time.sleep(fault.seconds)
        if self.fault == "html":
            return self._send(b"<html><body>Please log in to this network.</body></html>", content_type="text/html")
        for method, pattern, answer in _ROUTES:
            if self.command in method and (match := re.fullmatch(pattern, path)):
                with self.hub.lock:
                    reply = answer(self, body, **match.groupdict())
                return reply() if callable(reply) else self._json(reply)
        return self._error(404, f"there is no {request}")

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    # What is sent.

    def _send(self, content: bytes, status: int = 200, content_type="application/octet-stream", headers=None) -> None:
        announced = len(content)
        if content and self.command == "GET" and content_type == "application/octet-stream":
            if self.fault == "garble":
                middle = len(content) // 2
                content = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
            elif self.fault == "short":
                content = content[: len(content) // 2]
                announced = len(content)
            elif self.fault == "truncate":
                content = content[: len(content) // 2]
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(announced))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
        if len(content) != announced:
            self.close_connection = True

    def _json(self, content, status: int = 200) -> None:
        if self.fault == "lost":
            self.close_connection = True
            return
        self._send(json.dumps(content).encode(), status, "application/json")

    def _error(self, status: int, message: str, code: str | None = None) -> None:
        headers = {"X-Error-Message": message} | ({"X-Error-Code": code} if code else {})
        self._send(json.dumps({"error": message}).encode(), status, "application/json", headers)

    def _file(self, content: bytes, headers: dict[str, str]) -> None:
        """A file, or the range of it that is asked for."""
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        if not wanted:
            return self._send(content, headers=headers)
        first, last = int(wanted[1]), min(int(wanted[2] or len(content) - 1), len(content) - 1)
        if first > last:
            return self._send(b"", 416, headers={"Content-Range": f"bytes */{len(content)}"})
        return self._send(
            content[first : last + 1], 206, headers={**headers, "Content-Range": f"bytes {first}-{last}/{len(content)}"}
        )

    # Who asks.

    def _known(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {self.hub.token}"

    def _refused(self):
        message = "Invalid credentials in Authorization header"
        return lambda: self._error(401, message)

    def _find(self, repo_id: str, revision: str | None):
        """The repository and the commit, or what to answer instead."""
        repository = self.hub.repositories.get(repo_id)
        if "Authorization" in self.headers and not self._known():
            return None, self._refused()
        if repository is None or (repository.private and not self._known()):
            return None, lambda: self._error(404 if self._known() else 401, "Repository not found", "RepoNotFound")
        if revision is None:
            return repository, None
        commit = repository.at(revision)
        if commit is None:
            return None, lambda: self._error(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return repository, commit

    # What is asked for; called under the lock, so each returns what to send, or a function that sends it.

    def whoami(self, _):
        if not self._known():
            return self._refused()
        return {"type": "user", "name": self.hub.user, "orgs": [], "auth": {"accessToken": {"role": "write"}}}

    def create(self, body):
        if not self._known():
            return self._refused()
        asked = json.loads(body)
        repo_id = f"{asked.get('organization') or self.hub.user}/{asked['name']}"
        content = {"url": f"{self.hub.endpoint}/{repo_id}", "name": repo_id, "id": repo_id}
        if repo_id in self.hub.repositories:
            return lambda: self._json({**content, "error": "You already created this model repo"}, 409)
        private = asked.get("visibility") == "private" or bool(asked.get("private"))
        self.hub.repositories[repo_id] = Repository(private)
        self.hub.repositories[repo_id].commit({".gitattributes": b"*.h5 filter=lfs diff=lfs merge=lfs -text\n"})
        return content

    def validate_yaml(self, body):
        import yaml

        card = json.loads(body)["content"]
        block = re.match(r"---\n(.*?)\n---\n", card, re.DOTALL)
        try:
            metadata = yaml.safe_load(block[1]) if block else None
        except yaml.YAMLError as error:
            problem = str(error)
            return lambda: self._json({"errors": [{"message": problem}], "warnings": []}, 400)
        if not isinstance(metadata, dict):
            return {"errors": [], "warnings": [{"message": "empty or missing yaml metadata in repo card"}]}
        return {"errors": [], "warnings": []}

    def preupload(self, body, repo_id, revision):
        if not self._known():
            return self._refused()
        _, commit = self._find(repo_id, revision)
        if callable(commit):
            return commit
        files = []
        for file in json.loads(body)["files"]:
            name = file["path"]
            present = commit[1].get(name)
            oid = None if present is None else _sha256(present) if _is_large(name) else _git_sha1(present)
            mode = "lfs" if _is_large(name) else "regular"
            files.append({"path": name, "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        return {"files": files}

    def lfs_batch(self, body, repo_id):
        if not self._known():
            return self._refused()
        objects = []
        for item in json.loads(body)["objects"]:
            answer = {"oid": item["oid"], "size": item["size"]}
            if item["oid"] not in self.hub.large:
                upload = {"href": f"{self.hub.cdn}/lfs/{item['oid']}"}
                verify = {"href": f"{self.hub.endpoint}/{repo_id}.git/info/lfs/verify"}
                answer["actions"] = {"upload": upload, "verify": verify}
            objects.append(answer)
        return {"transfer": "basic", "objects": objects}

    def lfs_upload(self, body, oid):
        if _sha256(body) != oid:
            return lambda: self._error(400, "the content is not what its sha256 says")
        self.hub.large[oid] = body
        return {}

    def lfs_verify(self, body, repo_id):
        asked = json.loads(body)
        if len(self.hub.large.get(asked["oid"], b"")) != asked["size"]:
            return lambda: self._error(404, "no such object")
        return {}

    def commit(self, body, repo_id, revision):
        if not self._known():
            return self._refused()
        repository, commit = self._find(repo_id, revision)
        if callable(commit):
            return commit
        files = dict(commit[1])
        for line in body.splitlines():
            item = json.loads(line)
            value = item["value"]
            if item["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif item["key"] == "lfsFile":
                if value["oid"] not in self.hub.large:
                    return lambda: self._error(400, "an LFS file was not uploaded")
                files[value["path"]] = self.hub.large[value["oid"]]
            elif item["key"] == "deletedFile":
                del files[value["path"]]
        oid = repository.commit(files)
        return {"success": True, "commitOid": oid, "commitUrl": f"{self.hub.endpoint}/{repo_id}/commit/{oid}"}

    def info(self, _, repo_id, revision="main"):
        repository, commit = self._find(repo_id, revision)
        if callable(commit):
            return commit
        siblings = [{"rfilename": name} for name in commit[1]]
        return {
            "id": repo_id, "modelId": repo_id, "sha": commit[0], "private": repository.private, "siblings": siblings,
            "tags": [], "downloads": 0, "likes": 0,
        }  # fmt: skip

    def tree(self, _, repo_id, revision):
        _, commit = self._find(repo_id, revision)
        if callable(commit):
            return commit
        entries = []
        for name, content in commit[1].items():
            entry = {"type": "file", "path": name, "size": len(content), "oid": _git_sha1(content)}
            if _is_large(name):
                entry["lfs"] = {"oid": _sha256(content), "size": len(content), "pointerSize": 134}
            entries.append(entry)
        return entries

    def refs(self, _, repo_id):
        repository, commit = self._find(repo_id, "main")
        if callable(commit):
            return commit
        branches = [{"name": "main", "ref": "refs/heads/main", "targetCommit": commit[0]}]
        tags = [{"name": tag, "ref": f"refs/tags/{tag}", "targetCommit": oid} for tag, oid in repository.tags.items()]
        return {"branches": branches, "tags": tags, "converts": []}

    def tag(self, body, repo_id, revision):
        if not self._known():
            return self._refused()
        repository, commit = self._find(repo_id, revision)
        if callable(commit):
            return commit
        tag = json.loads(body)["tag"]
        if tag in repository.tags:
            return lambda: self._error(409, "Tag reference exists already")
        repository.tags[tag] = commit[0]
        return {}

    def resolve(self, _, repo_id, revision, file):
        _, commit = self._find(repo_id, revision)
        if callable(commit):
            return commit
        oid, files = commit
        headers = {"X-Repo-Commit": oid, "Accept-Ranges": "bytes"}
        if file not in files:
            return lambda: self._send(
                b'{"error": "Entry not found"}', 404, "application/json", {**headers, "X-Error-Code": "EntryNotFound"}
            )
        content = files[file]
        if not _is_large(file):
            return lambda: self._file(content, {**headers, "ETag": f'"{_git_sha1(content)}"'})
        sha256 = _sha256(content)
        self.hub.large.setdefault(sha256, content)
        headers |= {
            "X-Linked-Etag": f'"{sha256}"',
            "X-Linked-Size": str(len(content)),
            "Location": f"{self.hub.cdn}/cdn/{sha256}",
        }
        return lambda: self._send(b"", 302, "text/plain", headers)

    def cdn(self, _, oid):
        if "Authorization" in self.headers:
            return lambda: self._error(400, "a token was sent to another origin")
        content = self.hub.large[oid]
        return lambda: self._file(content, {"ETag": f'"{oid}"'})


_REPO = r"(?P<repo_id>[^/]+/[^/]+)"
_ROUTES = [
    ("GET", r"/api/whoami-v2", _Handler.whoami),
    ("POST", r"/api/repos/create", _Handler.create),
    ("POST", r"/api/validate-yaml", _Handler.validate_yaml),
    ("POST", rf"/api/models/{_REPO}/preupload/(?P<revision>.+)", _Handler.preupload),
    ("POST", rf"/api/models/{_REPO}/commit/(?P<revision>.+)", _Handler.commit),
    ("POST", rf"/api/models/{_REPO}/tag/(?P<revision>.+)", _Handler.tag),
    ("GET", rf"/api/models/{_REPO}/revision/(?P<revision>.+)", _Handler.info),
    ("GET", rf"/api/models/{_REPO}/tree/(?P<revision>[^/]+)", _Handler.tree),
    ("GET", rf"/api/models/{_REPO}/refs", _Handler.refs),
    ("GET", rf"/api/models/{_REPO}", _Handler.info),
    ("POST", rf"/{_REPO}\.git/info/lfs/objects/batch", _Handler.lfs_batch),
    ("POST", rf"/{_REPO}\.git/info/lfs/verify", _Handler.lfs_verify),
    ("PUT", r"/lfs/(?P<oid>[0-9a-f]{64})", _Handler.lfs_upload),
    ("GET HEAD", r"/cdn/(?P<oid>[0-9a-f]{64})", _Handler.cdn),
    ("GET HEAD", rf"/{_REPO}/resolve/(?P<revision>[^/]+)/(?P<file>.+)", _Handler.resolve),
]


def _is_large(name: str) -> bool:
    return name.endswith(LFS_SUFFIXES)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _git_sha1(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A loopback Hub that huggingface_hub talks to in this process, with an empty cache and no waiting.

    Import it into the conftest.py of the tests that use it. `hub.environment` is for other processes.
    """
    import huggingface_hub
    from huggingface_hub import constants, file_download
    from huggingface_hub.utils import _http

    with Hub() as server:
        cache = tmp_path / "hub-cache"
        server.cache = cache
        server.environment = {
            "HF_ENDPOINT": server.endpoint,
            "HF_HUB_CACHE": str(cache),
            "HF_HOME": str(tmp_path / "hub-home"),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_OFFLINE": "0",
            "TRANSFORMERS_OFFLINE": "0",
        }
        for name, value in {
            "ENDPOINT": server.endpoint,
            "HUGGINGFACE_CO_URL_TEMPLATE": server.endpoint + "/{repo_id}/resolve/{revision}/{filename}",
            "HF_HUB_CACHE": str(cache),
            "HF_TOKEN_PATH": str(tmp_path / "hub-home" / "token"),
            "HF_HUB_DISABLE_XET": True,
            "HF_HUB_DISABLE_TELEMETRY": True,
            "HF_HUB_OFFLINE": False,
            "HF_HUB_DOWNLOAD_TIMEOUT": 5,
            "HF_HUB_ETAG_TIMEOUT": 5,
        }.items():
            monkeypatch.setattr(constants, name, value)
        impatient = types.SimpleNamespace(sleep=lambda _: None, time=time.time, monotonic=time.monotonic)
        monkeypatch.setattr(_http, "time", impatient)
        monkeypatch.setattr(file_download, "time", impatient)
        monkeypatch.setattr(file_download, "_ETAG_RETRY_TIMEOUT", 1)
        for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
            monkeypatch.delenv(name, raising=False)
        huggingface_hub.utils.disable_progress_bars()
        huggingface_hub.close_session()
        yield server
        huggingface_hub.close_session()
        huggingface_hub.utils.enable_progress_bars()
