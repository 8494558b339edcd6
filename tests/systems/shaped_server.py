"""A speech server of one shape (its argument); prints its port, ends with its stdin.

Each checks what it is asked as the real one does, and refuses what that would refuse. How it then
behaves goes by the first part of the path: ``/ok/v1/audio/speech``, ``/cut/inference_zero_shot``.
Audio is a ramp of 240 samples a character, sent in pieces of 500 bytes.
"""

import base64
import email
import email.policy
import json
import os
import struct
import sys
import threading
import time
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

RATES_HZ = {"openai": 24000, "vllm-omni": 44100, "sglang-omni": 24000, "cosyvoice": 22050}
PIECE = 500
calls: list[dict] = []
log: list[str] = []
lock = threading.Lock()
gates: defaultdict[str, threading.Event] = defaultdict(threading.Event)


def samples(text: str) -> bytes:
    return (np.arange(240 * len(text)) % 1000 * 20 - 10000).astype("<i2").tobytes()


def wav(pcm: bytes, rate_hz: int, known: bool) -> bytes:
    size, whole = (len(pcm), len(pcm) + 36) if known else (0xFFFFFFFF, 0xFFFFFFFF)
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate_hz, 2 * rate_hz, 2, 16)
    return (
        struct.pack("<4sI4s", b"RIFF", whole, b"WAVE")
        + form
        + struct.pack("<4sI", b"data", size)
        + pcm
    )


def event(data: object, name: str = "") -> bytes:
    text = data if isinstance(data, str) else json.dumps(data)
    return (f"event: {name}\r\n" if name else "").encode() + f"data: {text}\n\n".encode()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        front, _, query = self.path.partition("?")
        if front == "/go":
            gates[query].set()
        self.whole(200, json.dumps({"calls": calls, "log": log}).encode(), "application/json")

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        behaviour, _, path = self.path.partition("?")[0].strip("/").partition("/")
        fields = self.fields(body)
        with lock:
            seen = sum(call["to"] == self.path for call in calls)
            calls.append({"to": self.path, "path": path, "fields": fields})
        wrong = CHECKS[shape](path, fields)
        if wrong:
            self.whole(wrong[0], json.dumps({"error": wrong[1]}).encode(), "application/json")
        elif behaviour == "busy" and not seen:
            self.whole(429, b"too many", "text/plain", {"Retry-After": "0.2"})
        elif behaviour == "broken" or (behaviour == "shaky" and not seen):
            self.whole(500, b"no memory", "text/plain")
        elif behaviour == "html":
            self.whole(200, b"<html><body>Gateway</body></html>", "text/html")
        elif behaviour == "text":  # an error page that doesn't say it is one
            self.whole(200, b'{"detail": "out of memory"}', None)
        else:
            self.speak(behaviour, fields, seen)

    def fields(self, body: bytes) -> dict:
        kind = self.headers["content-type"]
        if not kind.startswith("multipart/form-data"):
            return json.loads(body) if kind == "application/json" else {"body": body.decode()}
        head = f"Content-Type: {kind}\r\n\r\n".encode()
        message = email.message_from_bytes(head + body, policy=email.policy.HTTP)
        found = {}
        for part in message.iter_parts():
            name = part.get_param("name", header="content-disposition")
            data = part.get_payload(decode=True)
            if part.get_filename():
                file = {"name": part.get_filename(), "type": part.get_content_type()}
                found[name] = file | {"data": base64.b64encode(data).decode()}
            else:
                found[name] = data.decode()
        return found

    def speak(self, behaviour: str, fields: dict, seen: int):
        pcm = samples(fields["tts_text" if shape == "cosyvoice" else "input"])
        rate_hz, wanted = RATES_HZ[shape], fields.get("response_format", "wav")
        streamed = shape == "cosyvoice" or bool(fields.get("stream") or fields.get("stream_format"))
        if behaviour == "odd":
            pcm = pcm[:-1]
        elif behaviour == "empty":
            pcm = b""
        headless = shape == "cosyvoice" or wanted == "pcm"
        data = pcm if headless else wav(pcm, rate_hz, not streamed)
        if behaviour == "file":
            data = wav(pcm, rate_hz, True)
        kind = None if shape == "cosyvoice" else f"audio/{wanted}"
        events = fields.get("stream_format") == "sse" or (
            shape == "sglang-omni" and behaviour == "old"
        )
        if events and streamed:
            return self.chunks(
                "text/event-stream", self.events(behaviour, data, rate_hz, wanted), behaviour, seen
            )
        if not streamed:
            if behaviour == "cut":
                return self.cut_whole(data, kind)
            return self.whole(200, data, kind)
        head = {}
        if shape == "sglang-omni":
            told = {"liar": 16000}.get(behaviour, rate_hz)
            head = {
                "X-Sample-Rate": told,
                "X-Channels": 2 if behaviour == "stereo" else 1,
                "X-Bit-Depth": 16,
            }
        pieces = [data[n : n + PIECE] for n in range(0, len(data), PIECE)]
        return self.chunks(kind, pieces, behaviour, seen, head)

    def events(self, behaviour: str, data: bytes, rate_hz: int, wanted: str) -> list[bytes]:
        cut = [data[n : n + PIECE] for n in range(0, len(data), PIECE)]
        texts = [base64.b64encode(piece).decode() for piece in cut]
        if shape == "sglang-omni":
            sent = [
                event({"object": "audio.speech.chunk", "index": n, "finish_reason": None,
                       "audio": {"data": text, "format": wanted, "sample_rate": rate_hz}})
                for n, text in enumerate(texts)
            ]  # fmt: skip
            end = {"object": "audio.speech.chunk", "audio": None, "finish_reason": "stop"}
            return [*sent, event(end), event("[DONE]")]
        delta = "speech.audio.delta"
        sent = [
            event({"type": delta, "audio": text, "response_format": wanted}, delta)
            for text in texts
        ]
        if behaviour == "sse-error":
            error = {"message": "engine\ndied", "code": 500}
            return [b": hello\n\n", event({"type": "speech.audio.error", "error": error})]
        if behaviour == "sse-endless":
            return sent
        if behaviour == "sse-wrong":
            return [event({"type": delta, "audio": "???"})]
        return [b": hello\n\n", *sent, event({"type": "speech.audio.done", "usage": {}})]

    def chunks(self, kind, pieces: list[bytes], behaviour: str, seen: int, head=None):
        self.send_response(200)
        for name, value in (({"Content-Type": kind} if kind else {}) | (head or {})).items():
            self.send_header(name, str(value))
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for n, piece in enumerate(pieces):
            if behaviour == "gate" and n == 2:
                gates[self.path.partition("?")[2]].wait(10)
            if behaviour == "drip":
                time.sleep(0.15)
            if (behaviour == "cut" and n == 3) or (behaviour == "cut-first" and not seen):
                self.close_connection = True
                return
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        with lock:
            log.append(f"end of {self.path}")
        self.wfile.write(b"0\r\n\r\n")

    def cut_whole(self, data: bytes, kind: str):
        self.whole(200, data[: len(data) // 2], kind, {"Content-Length": len(data)})
        self.close_connection = True

    def whole(self, status: int, data: bytes, kind, head=None):
        self.send_response(status)
        for name, value in ({"Content-Length": len(data)} | (head or {})).items():
            self.send_header(name, str(value))
        if kind:
            self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        pass


def openai(path: str, fields: dict):
    if path != "v1/audio/speech":
        return 404, "no such path"
    missing = [name for name in ("input", "model", "voice") if not fields.get(name)]
    if fields.get("stream_format") not in (None, "audio", "sse"):
        return 400, "stream_format"
    return (400, f"missing {missing}") if missing else None


def omni(path: str, fields: dict):
    if path != "v1/audio/speech":
        return 404, "no such path"
    if not fields.get("input"):
        return 400, "Input text cannot be empty"
    if not str(fields.get("ref_audio", "data:")).startswith(("data:", "http:", "https:", "file:")):
        return 400, "ref_audio must be a URL"
    formats = ("pcm",) if shape == "sglang-omni" else ("pcm", "wav")
    if fields.get("stream") and fields.get("response_format", "wav") not in formats:
        return 400, f"stream=true requires {formats}"
    if fields.get("stream") and fields.get("speed", 1.0) != 1.0:
        return 400, "Streaming is not supported with speed adjustment"
    return None


FORMS = {
    "inference_zero_shot": {"tts_text", "prompt_text", "prompt_wav"},
    "inference_cross_lingual": {"tts_text", "prompt_wav"},
    "inference_instruct2": {"tts_text", "instruct_text", "prompt_wav"},
    "inference_sft": {"tts_text", "spk_id"},
}


def cosyvoice(path: str, fields: dict):
    if path not in FORMS:
        return 404, "Not Found"
    if path == "inference_sft":  # a form without a file comes URL-encoded
        fields |= dict(pair.split("=") for pair in fields.pop("body", "").split("&"))
    missing = sorted(FORMS[path] - {name for name, value in fields.items() if value})
    return (422, f"Field required: {missing}") if missing else None


CHECKS = {"openai": openai, "vllm-omni": omni, "sglang-omni": omni, "cosyvoice": cosyvoice}


class Server(ThreadingHTTPServer):
    request_queue_size = 64

    def handle_error(self, request, client_address):
        pass  # clients that give up are part of the tests


if __name__ == "__main__":
    shape = sys.argv[1]
    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.read()
    os._exit(0)
