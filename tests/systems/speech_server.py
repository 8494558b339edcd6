"""A speech endpoint that behaves as its path says; prints its port, ends with its stdin."""

import email.utils
import io
import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import soundfile

RATE_HZ = 16000
calls: list[dict] = []
lock = threading.Lock()
gate = threading.Event()
in_flight = 0
most_in_flight = 0


def speech(text: str, kind: str = "WAV", subtype: str = "PCM_16") -> bytes:
    """A tone of 10 ms a character."""
    n = max(1, len(text)) * RATE_HZ // 100
    file = io.BytesIO()
    soundfile.write(file, 0.5 * np.sin(np.arange(n) / 10), RATE_HZ, format=kind, subtype=subtype)
    return file.getvalue()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/go":
            gate.set()
        self.answer(200, json.dumps({"calls": calls, "most": most_in_flight}).encode())

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with lock:
            seen = sum(c["path"] == self.path and c["body"] == body for c in calls)
            calls.append(
                {
                    "path": self.path,
                    "body": body,
                    "at": time.monotonic(),
                    "key": self.headers.get("authorization"),
                }
            )
        self.behave(self.path.partition("?")[0].strip("/"), body, seen)

    def behave(self, name: str, body: dict, seen: int):
        wav = speech(body["input"])
        if name == "flac":
            self.answer(200, speech(body["input"], "FLAC"), "audio/flac")
        elif name == "busy" and seen == 0:
            self.answer(429, b"slow down", headers={"Retry-After": "1"})
        elif name == "busy-date" and seen == 0:
            date = email.utils.formatdate(time.time() + 2, usegmt=True)
            self.answer(503, b"later", headers={"Retry-After": date})
        elif (name == "shaky" and seen < 2) or name == "broken":
            self.answer(500, b"out of\nmemory")
        elif name == "refusing":
            said = f"no voice\n{body.get('voice')}; key {self.headers.get('authorization')}; "
            self.answer(400, (said + "x" * 10_000).encode(), "text/plain")
        elif name == "drip":
            self.drip(wav)
        elif name == "drip-head":
            self.drip_head()
        elif name == "short":
            self.answer(200, wav[: len(wav) // 2], "audio/wav", {"Content-Length": len(wav)})
            self.close_connection = True
        elif name == "short-wav":
            self.answer(200, wav[: len(wav) // 2], "audio/wav")
        elif name in ("streamed-ff", "streamed-0"):
            size = b"\xff" * 4 if name == "streamed-ff" else bytes(4)
            self.answer(200, wav[:4] + size + wav[8:40] + size + wav[44:], "audio/wav")
        elif name.startswith("pieces"):
            self.pieces(name, body, seen)
        elif name == "html":
            self.answer(200, b"<html><body>Hello\nfrom a proxy</body></html>", "text/html")
        elif name == "empty":
            self.answer(200, b"")
        elif name == "elsewhere":
            self.answer(307, b"", headers={"Location": f"http://localhost:{port}/ok"})
        elif name == "moved":
            self.answer(307, b"", headers={"Location": "/ok"})
        elif name == "circle":
            self.answer(307, b"", headers={"Location": "/circle"})
        elif name == "hang":
            time.sleep(30)
        else:
            if name == "slow":
                self.work()
            self.answer(200, wav, "audio/wav")

    def work(self):
        """Takes a while, and counts how many do so; it ends before the answer is sent."""
        global in_flight, most_in_flight
        with lock:
            in_flight += 1
            most_in_flight = max(most_in_flight, in_flight)
        time.sleep(0.05)
        with lock:
            in_flight -= 1

    def pieces(self, name: str, body: dict, seen: int):
        """A WAV of unknown size in HTTP chunks; with two more, it waits until it is told to go."""
        size, wav = b"\xff" * 4, speech(body["input"])
        kind = {"pieces-float": "FLOAT", "pieces-24": "PCM_24", "pieces-law": "ULAW"}.get(name)
        if kind:
            wav = speech(body["input"], "WAV", kind)
        start = wav.index(b"data")
        wav = wav[:4] + size + wav[8 : start + 4] + size + wav[start + 8 :]
        if name == "pieces-adpcm":
            wav = speech(body["input"], "WAV", "MS_ADPCM")
        if name == "pieces-shaky" and seen == 0:
            return self.broken_off(wav[:40])  # before any audio
        if name == "pieces-sized":
            wav = speech(body["input"]) + b"LIST\x04\0\0\0abcd"
        if name == "pieces-short":
            wav = speech(body["input"])[:-100]
        if name == "pieces-cut":
            return self.broken_off(wav[:200])
        step = {"pieces-bytes": 1, "pieces-odd": 333}.get(name, 1000)
        self.begin_chunks()
        for start in range(0, len(wav), step):
            self.chunk(wav[start : start + step])
            if name == "pieces-slow" and start == 0:
                gate.wait(10)
        self.chunk(b"")
        return None

    def begin_chunks(self):
        self.send_response(200)
        self.send_header("Content-Type", "audio/wav")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def chunk(self, data: bytes):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def broken_off(self, data: bytes):
        self.begin_chunks()
        self.chunk(data)
        self.close_connection = True

    def drip(self, wav: bytes):
        self.send_response(200)
        self.send_header("Content-Length", str(len(wav)))
        self.end_headers()
        for byte in wav:
            self.wfile.write(bytes([byte]))
            time.sleep(0.05)

    def drip_head(self):
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        for _ in range(1000):
            self.wfile.write(b"x")
            time.sleep(0.05)

    def answer(self, status: int, data: bytes, kind="application/json", headers=None):
        self.send_response(status)
        given = {"Content-Type": kind, "Content-Length": len(data)} | (headers or {})
        for name, value in given.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 64

    def handle_error(self, request, client_address):
        pass  # clients that give up are part of the tests


if __name__ == "__main__":
    server = Server(("127.0.0.1", 0), Handler)
    port = server.server_address[1]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(port, flush=True)
    sys.stdin.read()
    os._exit(0)
