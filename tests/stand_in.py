"""An OpenAI-compatible server that answers at random, fails as it is told, and knows the truth."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np

PIECES = ("Yes", "No", "yes", " no", *(f" w{n}" for n in range(60)))
PROBE = "Answer with one word: is the sky blue?"
# How long a slow answer takes, in seconds.
SLOW = 3.0


def asked(payload: dict[str, Any]) -> str:
    """Return the text of a request, with a digest of its images."""
    content = payload["messages"][-1]["content"]
    if isinstance(content, str):
        return content
    images = [part["image_url"]["url"] for part in content if part["type"] == "image_url"]
    digest = hashlib.sha256("".join(images).encode()).hexdigest()[:12]
    return "".join(part.get("text", "") for part in content) + f" [{digest}]"


def answer(question: str) -> list[tuple[str, dict[str, float]]]:
    """Return the pieces of the answer to a question, each with its distribution, in nats.

    It is a label, then the question's digest, so that every answer names what it belongs to.
    """
    rng = np.random.default_rng(list(hashlib.sha256(question.encode()).digest()))
    said = [PIECES[rng.integers(2)], f" {digest(question)}"]
    steps = []
    for piece in said:
        # Some answers are sure, so that the likeliest tokens settle the labels, and some are not.
        logits = rng.normal(scale=rng.choice([1.0, 6.0]), size=len(PIECES))
        logprob = logits - np.log(np.exp(logits).sum())
        pieces = [piece, *(other for other in PIECES if other != piece)][: len(PIECES)]
        ranked = np.sort(logprob)[::-1].tolist()
        steps.append((piece, dict(zip(pieces, ranked, strict=True))))
    return steps


def digest(question: str) -> str:
    """Return what an answer says of its question."""
    return "q" + hashlib.sha256(question.encode()).hexdigest()[:16]


def entropy(question: str) -> float:
    """Return the mean entropy of the answer to a question, in nats."""
    return float(
        np.mean([-sum(np.exp(p) * p for p in step.values()) for _, step in answer(question)])
    )


class StandIn(ThreadingHTTPServer):
    """The server.

    Attributes:
        most: The largest `top_logprobs` that is accepted; None: log-probabilities are ignored.
        fault: What is wrong with the answer to a question, "" for nothing; it is also given
            how often the question was asked before.
        reply: The response to a question, if it is not one of these at random.
        asked: The requests that were answered, by their text.
        payloads: All requests but those that only ask what is accepted.
        threads: The largest number of requests at once.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.most: int | None = 20
        self.fault: Callable[[str, int], str] = lambda question, before: ""
        self.reply: Callable[[str], Any] = lambda question: None
        self.delay: Callable[[str], float] = lambda question: 0.0
        self.asked: Counter[str] = Counter()
        self.payloads: list[dict[str, Any]] = []
        self.negotiated: list[dict[str, Any]] = []
        self.now = self.threads = 0
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that went away."""


@contextmanager
def stand_in() -> Iterator[StandIn]:
    """Run a server in the block."""
    server = StandIn()
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    # Connections are kept alive, as by real servers.
    protocol_version = "HTTP/1.1"
    server: StandIn

    def log_message(self, *given: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        payload = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        question, server = asked(payload), self.server
        k = payload.get("top_logprobs")
        negotiating = PROBE in question
        with server.lock:
            (server.negotiated if negotiating else server.payloads).append(payload)
            before = server.asked[question]
            server.asked[question] += 1
            server.now += 1
            server.threads = max(server.threads, server.now)
        try:
            fault = server.fault(question, before)
            if k is not None and server.most is not None and not -1 <= k <= server.most:
                self.refuse(400, f"top_logprobs must be at most {server.most}")
            elif k == -1 and server.most != -1 and server.most is not None:
                self.refuse(400, "top_logprobs must not be negative")
            else:
                time.sleep(server.delay(question))
                self.reply(question, None if server.most is None else k, fault)
        finally:
            with server.lock:
                server.now -= 1

    def refuse(self, status: int, message: str) -> None:
        self.send(status, json.dumps({"error": {"message": message, "code": status}}))

    def send(self, status: int, body: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        # The client's own retries wait for half a second and more.
        self.send_header("retry-after-ms", "5")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def reply(self, question: str, k: int | None, fault: str) -> None:
        if fault in ("429", "500"):
            return self.refuse(int(fault), {"429": "rate limit", "500": "out of order"}[fault])
        if fault == "slow":
            time.sleep(SLOW)
        own = self.server.reply(question)
        body = json.dumps(completion(question, k, fault) if own is None else own)
        if fault == "malformed":
            body = body[: len(body) // 2]
        if fault == "cut":
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2].encode())
            self.wfile.flush()
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return None
        return self.send(200, body)


def completion(question: str, k: int | None, fault: str = "") -> dict[str, Any]:
    """Return the response to a question in OpenAI's form."""
    steps = answer(question)
    content: Any = "".join(piece for piece, _ in steps)
    listed = [_entry(piece, step, k, fault) for piece, step in steps] if k else None
    if fault == "no content":
        content = None
    logprobs = None if listed is None or fault == "no logprobs" else {"content": listed}
    return {
        "id": "1",
        "object": "chat.completion",
        "created": 0,
        "model": "stand-in",
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": content},
                "logprobs": logprobs,
            }
        ],
        "usage": {"prompt_tokens": 7, "completion_tokens": len(steps), "total_tokens": 9},
    }


def _entry(piece: str, step: dict[str, float], k: int, fault: str) -> dict[str, Any]:
    k = len(step) if k == -1 else k
    likeliest: Sequence[tuple[str, Any]] = list(step.items())[:k]
    if fault == "fewer":
        likeliest = likeliest[:3]
    if fault == "none of them":
        likeliest = []
    if fault == "NaN":
        likeliest = [(likeliest[0][0], float("nan")), *likeliest[1:]]
    if fault == "no number":
        likeliest = [(likeliest[0][0], None), *likeliest[1:]]
    if fault == "no distribution":
        likeliest = [(token, 0.0) for token, _ in likeliest]
    own = 0.0 if fault == "no distribution" else step[piece]
    return _token(piece, own) | {"top_logprobs": [_token(*pair) for pair in likeliest]}


def _token(text: str, logprob: Any) -> dict[str, Any]:
    return {"token": text, "logprob": logprob, "bytes": list(text.encode())}
