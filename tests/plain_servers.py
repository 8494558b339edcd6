"""Servers in this process that say what they are told to, and keep what they were asked."""

from __future__ import annotations

import io
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import soundfile

Answer = tuple[int, dict[str, str], bytes]


def speech() -> bytes:
    """A tenth of a second of noise, as WAV."""
    file = io.BytesIO()
    noise = 0.1 * np.random.default_rng(0).standard_normal(1600)
    soundfile.write(file, noise, 16000, format="WAV")
    return file.getvalue()


class Told:
    """One server: ``answer`` may hold ``{key}``, for what came as ``Authorization``."""

    def __init__(self, port: int, scheme: str) -> None:
        self.address = f"{scheme}://127.0.0.1:{port}/v1/audio/speech"
        self.answer: Answer = (200, {"Content-Type": "audio/wav"}, speech())
        self.asked: list[dict[str, str]] = []
        self.endless = False


@contextmanager
def told(tls: ssl.SSLContext | None = None) -> Iterator[Told]:
    """Serve while inside."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            made.asked.append({name.lower(): value for name, value in self.headers.items()})
            key = self.headers.get("authorization", "")
            status, headers, body = made.answer
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value.replace("{key}", key))
            self.end_headers()
            self.wfile.write(body.replace(b"{key}", key.encode()))
            try:
                while made.endless:
                    self.wfile.write(b"x" * 65536)
            except OSError:
                made.endless = False

        def log_message(self, *arguments: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            pass  # handshakes that fail are part of the tests

    server = Server(("127.0.0.1", 0), Handler)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    made = Told(server.server_address[1], "https" if tls else "http")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
