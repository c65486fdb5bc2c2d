"""A local stand-in of the Hugging Face Hub: its HTTP interface, as far as our clients ask.

A real server on loopback that keeps repositories in memory: create, upload (regular files and
LFS, one commit), list, download at a revision (whole or from a byte on), a Space's variables.
It refuses what the Hub refuses, in its words: no token, a wrong one, one that may only read,
what is private, what is missing. And it fails on demand: files that break off, files whose
bytes are others than were published. Paths and answers were read off huggingface_hub 2.4.

Left out: Xet (clients need HF_HUB_DISABLE_XET=1), pages of long lists, pull requests, limits.
"""

from __future__ import annotations

import base64
import hashlib
import http.server
import json
import threading
from collections import Counter
from dataclasses import dataclass, field
from fnmatch import fnmatch
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import yaml

WRITER, READER = "hf_may_write", "hf_may_read"
PLURALS = {"models": "model", "datasets": "dataset", "spaces": "space"}
GIT_ATTRIBUTES = "".join(
    f"*.{suffix} filter=lfs diff=lfs merge=lfs -text\n"
    for suffix in ("parquet", "safetensors", "bin", "gif", "png", "jpg", "webp", "npy")
)
LICENSES = {"apache-2.0", "mit", "cc-by-4.0", "cc0-1.0", "apple-amlr", "other", "unknown"}


@dataclass
class Repository:
    """Commits (their ids, oldest first) and the files of each, path → (bytes, in LFS)."""

    kind: str
    id: str
    private: bool = False
    sdk: str | None = None
    commits: dict[str, dict[str, tuple[bytes, bool]]] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def head(self) -> str:
        return next(reversed(self.commits))

    @property
    def files(self) -> dict[str, bytes]:
        """The newest commit's files, path → bytes."""
        return {path: data for path, (data, _) in self.commits[self.head].items()}

    def commit(self, files: dict[str, tuple[bytes, bool]], message: str) -> str:
        name = hashlib.sha1(f"{self.kind} {self.id} {len(self.commits)}".encode()).hexdigest()
        self.commits[name] = files
        self.messages.append(message)
        return name

    def resolve(self, revision: str) -> str | None:
        if revision in ("main", "HEAD", ""):
            return self.head
        return self.tags.get(revision) or (revision if revision in self.commits else None)


class HubStandIn(http.server.ThreadingHTTPServer):
    """`asked` is every request so far, "METHOD /path"; the rest is what tests turn."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.endpoint = f"http://127.0.0.1:{self.server_port}"
        # Another host, as the Hub's store of large files is: a token must not go there.
        self.store = f"http://localhost:{self.server_port}"
        self.tokens = {WRITER: "write", READER: "read"}
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.large: dict[str, bytes] = {}  # SHA-256 → bytes
        self.asked: list[str] = []
        self.tokens_at_store = 0
        self.break_off: Counter[str] = Counter()  # file name → how often it still breaks off
        self.spoiled: set[str] = set()  # names of files that come with other bytes
        self.status: int | None = None  # answer everything with this, such as 503
        self.lock = threading.Lock()

    def __enter__(self) -> HubStandIn:
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *raised: object) -> None:
        self.shutdown()
        self.server_close()

    def repository(self, kind: str, repo_id: str) -> Repository:
        return self.repositories[kind, repo_id]

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # clients that hang up


class _Refused(Exception):
    def __init__(self, status: int, message: str, code: str = "", **more: Any):
        self.status, self.message, self.code, self.more = status, message, code, more


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: HubStandIn

    def log_message(self, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    def do_DELETE(self) -> None:
        self._answer()

    def _answer(self) -> None:
        body = self._body()
        url = urlsplit(self.path)
        parts = [unquote(part) for part in url.path.strip("/").split("/")]
        if parts[-1] != "agent-harnesses":  # asked for by itself, where a program runs it
            self.server.asked.append(f"{self.command} {unquote(url.path)}")
        try:
            if self.server.status:
                raise _Refused(self.server.status, "Not now.")
            if parts[0] == "store":
                self._store(parts, body)
            elif parts[0] == "api":
                self._json(self._api(parts[1:], parse_qs(url.query), body))
            elif parts[-4:] == ["info", "lfs", "objects", "batch"]:
                self._json(self._batch(parts, body))
            else:
                self._resolve(parts)
        except _Refused as refused:
            headers = {"X-Error-Message": refused.message}
            if refused.code:
                headers["X-Error-Code"] = refused.code
            self._json({"error": refused.message, **refused.more}, refused.status, headers)

    def _body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _send(self, status: int, data: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _json(self, value: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        data = json.dumps(value).encode()
        self._send(status, data, {"Content-Type": "application/json", **(headers or {})})

    # Who may do what

    def _rights(self) -> str:
        """ "", "read" or "write"; a token that is not known is refused even for public things."""
        _, _, token = self.headers.get("Authorization", "").partition(" ")
        if token and token not in self.server.tokens:
            raise _Refused(401, "Invalid credentials in Authorization header")
        return self.server.tokens.get(token, "")

    def _may_write(self) -> None:
        rights = self._rights()
        if not rights:
            raise _Refused(401, "Invalid username or password.")
        if rights != "write":
            raise _Refused(403, "You don't have the rights to write here")

    def _found(self, kind: str, repo_id: str) -> Repository:
        rights = self._rights()
        repository = self.server.repositories.get((kind, repo_id))
        if repository is None or (repository.private and not rights):
            # To a stranger the Hub does not say which of the two it is.
            message = "Repository not found" if rights else "Invalid username or password."
            raise _Refused(404 if rights else 401, message, "RepoNotFound")
        return repository

    def _commit_of(self, repository: Repository, revision: str) -> str:
        commit = repository.resolve(revision)
        if commit is None:
            raise _Refused(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return commit

    # /api/…

    def _api(self, parts: list[str], query: dict[str, list[str]], body: bytes) -> Any:
        if parts == ["repos", "create"]:
            return self._create(json.loads(body))
        if parts == ["validate-yaml"]:
            return self._validate(json.loads(body)["content"])
        if parts == ["whoami-v2"]:
            if not self._rights():
                raise _Refused(401, "Invalid username or password.")
            return {"type": "user", "name": "me", "orgs": []}
        if parts[0] not in PLURALS or len(parts) < 3:
            raise _Refused(404, "Sorry, we can't find the page you are looking for.")
        repository = self._found(PLURALS[parts[0]], "/".join(parts[1:3]))
        action, rest = (parts[3:] or ["revision"])[0], parts[4:]
        revision = rest[0] if rest else "main"
        if action == "revision":
            return self._info(repository, self._commit_of(repository, revision))
        if action == "tree":
            deep = query.get("recursive", ["false"])[0].lower() == "true"
            files = repository.commits[self._commit_of(repository, revision)]
            return self._tree(files, "/".join(rest[1:]), deep)
        if action == "paths-info":
            asked = parse_qs(body.decode()) if body[:1] != b"{" else json.loads(body)
            files = repository.commits[self._commit_of(repository, revision)]
            return [e for e in self._tree(files, "", True) if e["path"] in asked["paths"]]
        if action == "refs":
            heads = [("branches", "heads", "main", repository.head)]
            heads += [("tags", "tags", *tag) for tag in repository.tags.items()]
            refs: dict[str, list] = {"branches": [], "converts": [], "tags": []}
            for kind, folder, name, commit in heads:
                ref = {"name": name, "ref": f"refs/{folder}/{name}", "targetCommit": commit}
                refs[kind].append(ref)
            return refs
        self._may_write()
        if action == "preupload":
            return {"files": [self._mode(repository, f) for f in json.loads(body)["files"]]}
        if action == "commit":
            return self._commit(repository, body)
        if action == "variables" and repository.kind == "space":
            given: dict[str, str] = json.loads(body) if body else {}
            if self.command == "POST":
                repository.variables[given["key"]] = given["value"]
            elif self.command == "DELETE" and repository.variables.pop(given["key"], None) is None:
                raise _Refused(404, "There is no such variable")
            known = repository.variables.items()
            return {key: {"key": key, "value": value} for key, value in known}
        raise _Refused(404, f"The stand-in does not know {self.command} {self.path}")

    def _create(self, asked: dict[str, Any]) -> Any:
        self._may_write()
        kind, repo_id = asked.get("type") or "model", f"{asked['organization']}/{asked['name']}"
        address = self._page(kind, repo_id)
        if (kind, repo_id) in self.server.repositories:
            raise _Refused(409, "You already created this repo", url=address)
        private = asked.get("private") or asked.get("visibility") == "private"
        made = Repository(kind, repo_id, bool(private), asked.get("sdk"))
        made.commit({".gitattributes": (GIT_ATTRIBUTES.encode(), False)}, "initial commit")
        self.server.repositories[kind, repo_id] = made
        return {"url": address, "name": repo_id}

    def _page(self, kind: str, repo_id: str) -> str:
        return f"{self.server.endpoint}/{'' if kind == 'model' else kind + 's/'}{repo_id}"

    def _validate(self, content: str) -> Any:
        errors = []
        try:
            front = yaml.safe_load(content.split("---\n")[1]) if content[:4] == "---\n" else {}
            if front.get("license", "other") not in LICENSES:
                errors.append({"message": '"license" must be one of …'})
        except (yaml.YAMLError, AttributeError, IndexError) as error:
            errors.append({"message": str(error)})
        if errors:
            raise _Refused(400, "Invalid metadata", errors=errors, warnings=[])
        return {"errors": [], "warnings": []}

    def _info(self, repository: Repository, commit: str) -> Any:
        return {
            "id": repository.id,
            "sha": commit,
            "private": repository.private,
            "gated": False,
            "disabled": False,
            "tags": [],
            "lastModified": "2026-01-01T00:00:00.000Z",
            "createdAt": "2026-01-01T00:00:00.000Z",
            "sdk": repository.sdk,
            "siblings": [{"rfilename": path} for path in repository.commits[commit]],
        }

    def _tree(self, files: dict[str, tuple[bytes, bool]], under: str, deep: bool) -> list[Any]:
        prefix = f"{under}/" if under else ""
        entries: dict[str, Any] = {}
        for path, (data, is_large) in sorted(files.items()):
            if not path.startswith(prefix):
                continue
            steps = path[len(prefix) :].split("/")
            for i in range(1, len(steps) if deep else min(len(steps), 2)):
                folder = prefix + "/".join(steps[:i])
                oid = hashlib.sha1(folder.encode()).hexdigest()
                entries[folder] = {"type": "directory", "path": folder, "oid": oid, "size": 0}
            if deep or len(steps) == 1:
                entry = {"type": "file", "path": path, "size": len(data), "oid": _git_id(data)}
                if is_large:
                    large = {"oid": _sha256(data), "size": len(data), "pointerSize": 134}
                    entry["lfs"] = large
                entries[path] = entry
        if under and not entries:
            raise _Refused(404, f"{under} does not exist", "EntryNotFound")
        return list(entries.values())

    def _mode(self, repository: Repository, file: dict[str, Any]) -> Any:
        files = repository.commits[repository.head]
        rules = files[".gitattributes"][0].decode().splitlines()
        large = file["size"] > 10_000_000 or b"\0" in base64.b64decode(file["sample"])
        large |= any(fnmatch(file["path"], r.split()[0]) for r in rules if "filter=lfs" in r)
        answer = {"path": file["path"], "uploadMode": "lfs" if large else "regular"}
        if file["path"] in files:
            data, was_large = files[file["path"]]
            answer["oid"] = _sha256(data) if was_large else _git_id(data)
        return answer | {"shouldIgnore": False}

    def _commit(self, repository: Repository, body: bytes) -> Any:
        files = dict(repository.commits[repository.head])
        message = ""
        for line in body.splitlines():
            step = json.loads(line)
            value = step["value"]
            if step["key"] == "header":
                message = value["summary"]
            elif step["key"] == "file":
                files[value["path"]] = (base64.b64decode(value["content"]), False)
            elif step["key"] == "lfsFile":
                if value["oid"] not in self.server.large:
                    raise _Refused(400, f"LFS object {value['oid']} was not uploaded")
                files[value["path"]] = (self.server.large[value["oid"]], True)
            elif step["key"] == "deletedFile" and files.pop(value["path"], None) is None:
                raise _Refused(404, "A file with this name doesn't exist", "EntryNotFound")
        commit = repository.commit(files, message)
        address = self._page(repository.kind, repository.id)
        return {"commitOid": commit, "commitUrl": f"{address}/commit/{commit}"}

    # Large files

    def _batch(self, parts: list[str], body: bytes) -> Any:
        self._may_write()
        kind = PLURALS.get(parts[0], "model")
        owner, name = parts[-6:-4]
        self._found(kind, f"{owner}/{name.removesuffix('.git')}")
        objects = []
        for asked in json.loads(body)["objects"]:
            href = f"{self.server.store}/store/{asked['oid']}"
            is_there = asked["oid"] in self.server.large
            upload = {} if is_there else {"actions": {"upload": {"href": href}}}
            objects.append({"oid": asked["oid"], "size": asked["size"], **upload})
        return {"transfer": "basic", "objects": objects}

    def _store(self, parts: list[str], body: bytes) -> None:
        if "Authorization" in self.headers:
            self.server.tokens_at_store += 1
        if self.command == "PUT":
            if _sha256(body) != parts[1]:
                raise _Refused(400, "The bytes have another SHA-256")
            self.server.large[parts[1]] = body
            self._send(200, b"", {"ETag": f'"{parts[1]}"'})
        else:
            self._give(parts[-1], self.server.large[parts[1]], {"ETag": f'"{parts[1]}"'})

    # /OWNER/NAME/resolve/REVISION/PATH

    def _resolve(self, parts: list[str]) -> None:
        kind = PLURALS.get(parts[0], "model")
        parts = parts[1:] if parts[0] in PLURALS else parts
        if len(parts) < 5 or parts[2] != "resolve":
            raise _Refused(404, f"The stand-in does not know {self.command} {self.path}")
        repository = self._found(kind, "/".join(parts[:2]))
        commit = self._commit_of(repository, parts[3])
        path = "/".join(parts[4:])
        headers = {"X-Repo-Commit": commit}
        if path not in repository.commits[commit]:
            headers |= {"X-Error-Code": "EntryNotFound", "X-Error-Message": "Entry not found"}
            self._json({"error": "Entry not found"}, 404, headers)
            return
        data, is_large = repository.commits[commit][path]
        if not is_large:
            self._give(parts[-1], data, headers | {"ETag": f'"{_git_id(data)}"'})
            return
        oid = _sha256(data)
        headers |= {
            "Location": f"{self.server.store}/store/{oid}/{parts[-1]}",
            "X-Linked-Etag": f'"{oid}"',
            "X-Linked-Size": str(len(data)),
        }
        self._send(302, b"", headers)

    def _give(self, name: str, data: bytes, headers: dict[str, str]) -> None:
        """A file's bytes, from the asked one on; broken off or spoiled where tests say so."""
        if name in self.server.spoiled:
            data = bytes([data[0] ^ 1]) + data[1:]
        status, start = 200, 0
        wanted = self.headers.get("Range", "")
        if wanted.startswith("bytes="):
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            start, end = int(first), int(last) if last else len(data) - 1
            headers = headers | {"Content-Range": f"bytes {start}-{end}/{len(data)}"}
            status, data = 206, data[start : end + 1]
        with self.server.lock:
            breaks = self.command == "GET" and self.server.break_off[name] > 0
            self.server.break_off[name] -= breaks
        if not breaks:
            self._send(status, data, headers)
            return
        self.send_response(status)
        for key, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(data[: len(data) // 2])
        self.close_connection = True


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _git_id(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
