"""The site of a made bundle, and a small collector to serve it, for tests of the page.

The collector does what the page relies on and can be told to fail; the real one has tests of its
own.
"""

from __future__ import annotations

import hashlib
import json
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from mamtra_eval.listening.site import write_site
from tests.listening import made_bundles
from tests.listening.made_bundles import token

ELIGIBILITY = [
    {"id": "native", "label": "Is English your first language?", "type": "choice",
     "options": ["yes", "no"], "required": True, "max_length": 500},
    {"id": "age", "label": "Your age", "type": "number", "options": [], "required": False,
     "max_length": 3},
]  # fmt: skip
QUESTIONNAIRE = [
    {"id": "remarks", "label": "Anything else?", "type": "long", "options": [], "required": False,
     "max_length": 500},
    {"id": "device", "label": "What did you listen with?", "type": "choice",
     "options": ["headphones", "earphones", "loudspeakers"], "required": True, "max_length": 500},
]  # fmt: skip


def write(
    folder: Path,
    kind: str = "mos",
    step: float | None = None,
    trials: int = 2,
    practice: bool = False,
    **changes: Any,
) -> Path:
    """Write a bundle and its site; returns ``site/``.

    Args:
        folder: of the bundle.
        kind: of test.
        step: of the scale, where it isn't the kind's own.
        trials: how many of each list the site has.
        practice: whether it begins with one for practice.
        changes: fields of ``BUNDLE``.
    """
    bundle = made_bundles.write(folder, kind)
    lists = json.loads((folder / "design/lists.json").read_text(encoding="utf-8"))
    short = {name: asked[:trials] for name, asked in lists.items()}
    asked = _bundle(bundle.manifest, kind, step, practice)
    write_site(folder / "site", {**asked, **changes}, short)
    return folder / "site"


def read(site: Path, name: str) -> dict[str, Any]:
    """What ``bundle.js`` or ``lists.js`` assigns."""
    text = (site / f"{name}.js").read_text(encoding="utf-8")
    values = json.loads(text.partition(" = ")[2].rstrip(";\n"))
    assert isinstance(values, dict)
    return values


def _bundle(
    manifest: dict[str, Any], kind: str, step: float | None, practice: bool
) -> dict[str, Any]:
    asked, tokens = manifest["kind"], manifest["tokens"]
    pair = 2 if kind in ("cmos", "ab") else 3 if kind == "mushra" else 1
    reference = token("reference", "utt-9") if kind in ("smos", "mushra") else None
    first = {"id": "p_01", "tokens": [token("practice")] * pair, "reference": reference}
    return {
        "schema": 1, "bundle_id": manifest["bundle_id"],
        "content_sha256": manifest["content_sha256"], "title": "Listening test", "kind": kind,
        "language": "en", "question": asked["question"],
        "instructions": ["Judge how natural the speech sounds.", "There is no right answer."],
        "scale": {**asked["scale"], "step": step or asked["scale"]["step"]},
        "audio": {"folder": "audio", "suffix": ".wav",
                  "sha256": {name: one["sha256"] for name, one in tokens.items()},
                  "duration_s": {name: one["duration_s"] for name, one in tokens.items()}},
        "consent": {"title": "Information and consent",
                    "paragraphs": ["We study how natural synthetic speech sounds.",
                                   "Taking part is voluntary. You can stop at any time."],
                    "sha256": "1" * 64, "agree": "I have read this and want to take part."},
        "contact": "study@example.org", "eligibility": [], "questionnaire": [], "volume": None,
        "headphones": None, "practice": [first] if practice else [], "break_every": 4,
        "min_heard": 0.95, "minutes": 3, "endpoint": "api",
        "completion": {"code": "C0DE42", "redirect": None},
    }  # fmt: skip


class Collector(ThreadingHTTPServer):
    """Serves a site and keeps what sessions send.

    Attributes:
        mode: ``""``, or how posts fail: ``refuse`` (403), ``broken`` (500), ``drop`` (no answer).
        collecting: whether there is a collector at all.
        sessions: by name: ``secret``, ``participant``, ``list``, ``lines``.
        missing: paths that are answered by 404.
    """

    daemon_threads = True

    def __init__(self, site: Path) -> None:
        super().__init__(("127.0.0.1", 0), partial(_Handler, directory=str(site)))
        self.site = site
        self.bundle, self.lists = read(site, "bundle"), list(read(site, "lists"))
        self.mode, self.collecting = "", True
        self.sessions: dict[str, dict[str, Any]] = {}
        self.missing: set[str] = set()
        self.lock = threading.Lock()
        self.address = f"http://127.0.0.1:{self.server_port}"
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()

    def close(self) -> None:
        """Stop, and wait until it has."""
        self.shutdown()
        self.server_close()
        self.thread.join()

    def lines(self) -> list[dict[str, Any]]:
        """What the only session has sent."""
        with self.lock:
            (session,) = self.sessions.values()
            return [json.loads(line) for line in session["lines"]]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that goes away is no error."""


class _Handler(SimpleHTTPRequestHandler):
    server: Collector
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/api/hello" and self.server.collecting:
            bundle = self.server.bundle
            greeting = {name: bundle[name] for name in ("bundle_id", "content_sha256")}
            return self._answer(200, {**greeting, "collecting": True})
        if path in self.server.missing:
            return self._answer(404, {})
        return super().do_GET()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.mode == "drop":
            self.close_connection = True
            return None
        if self.server.mode:
            return self._answer({"refuse": 403, "broken": 500}[self.server.mode], {"error": "no"})
        with self.server.lock:
            return self._answer(*self._take(self.path.split("/")[2:], json.loads(body)))

    def _take(self, path: list[str], values: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        known = self.server.sessions
        if path == ["sessions"]:
            name = self.server.lists[len(known) % len(self.server.lists)]
            session = known.setdefault(values["session"], {**values, "list": name, "lines": []})
            return 200, {"list": session["list"], "next_seq": len(session["lines"])}
        session = known[path[1]]
        if values["secret"] != session["secret"]:
            return 403, {"error": "wrong secret"}
        kept: list[str] = session["lines"]
        for line in values["lines"]:
            record = json.loads(line)
            seq = record["seq"]
            if "\\ud" in line or "\0" in str(record):
                return 400, {"error": "no UTF-8", "next_seq": len(kept)}
            if seq == 0 and record.get("list") != session["list"]:
                return 409, {"error": "another list", "next_seq": len(kept)}
            if seq == len(kept) and kept and json.loads(kept[-1])["type"] == "end":
                return 409, {"error": "ended", "next_seq": len(kept)}
            if seq > len(kept) or (seq < len(kept) and kept[seq] != line):
                return 409, {"error": "gap or conflict", "next_seq": len(kept)}
            if seq == len(kept):
                kept.append(line)
        complete = any(json.loads(line)["type"] == "end" for line in kept)
        return 200, {"next_seq": len(kept), "complete": complete}

    def _answer(self, status: int, values: dict[str, Any]) -> None:
        body = json.dumps(values).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing is written to the terminal."""


def digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def list_by_hash(name: str, names: list[str]) -> str:
    """The list of a participant without a collector, as the contract has it."""
    return names[int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") % len(names)]
