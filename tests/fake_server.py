"""An OpenAI-compatible server for tests, which fails in every way; what it writes says by which seed it was drawn."""

import json
import re
import select
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from typing import Any

MODEL = "tiny/model"
Way = str | tuple[int, str] | dict[str, Any] | bytes
"""`ok`, the name of a failure below, (status, body), fields over a good answer, or a body."""

Misbehave = Callable[[int, dict[str, Any]], Way]
"""Says how a request is answered, from its number and its fields."""


def well(number: int, fields: dict[str, Any]) -> Way:
    """Answers as a server should."""
    return "ok"


class FakeServer:
    """Answers requests and counts them.

    Attributes:
        misbehave: How requests are answered.
        models: The models it lists; a status in their place is answered instead of a list.
        listed: What it says of each of them.
        bare: Whether the list stands alone, not as `data`.
        asked: The fields of every request, in the order of arrival.
        headers: The headers of every request, likewise.
        most: The most requests that were under way at once. One that hangs is not under way: who asked may be gone.
        delay: Seconds that each answer takes.
    """

    def __init__(self) -> None:
        self.misbehave: Misbehave = well
        self.models: list[str] | int = [MODEL]
        self.listed: dict[str, Any] = {}
        self.bare = False
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.most = 0
        self.delay = 0.0
        self.url = ""
        self._under_way = 0
        self._lock = threading.Lock()

    def enter(self, fields: dict[str, Any], headers: dict[str, str]) -> int:
        """Counts a request, and gives its number."""
        with self._lock:
            self.asked.append(fields)
            self.headers.append(headers)
            self._under_way += 1
            self.most = max(self.most, self._under_way)
            return len(self.asked) - 1

    def leave(self) -> None:
        """Counts it as answered; called before the answer is sent, since the next request may follow at once."""
        with self._lock:
            self._under_way -= 1


def good_answer(fields: dict[str, Any], count: int | None = None) -> dict[str, Any]:
    """Choices that name their seeds, as vLLM counts them up."""
    chat = "messages" in fields
    choices: list[dict[str, Any]] = []
    for index in range(fields["n"] if count is None else count):
        text = f"drawn by {fields.get('seed', 0) + index}\nthe answer is 4"
        said: dict[str, Any] = {"message": {"role": "assistant", "content": text}} if chat else {"text": text}
        choices.append({"index": index, "finish_reason": "stop", **said})
    usage = {"prompt_tokens": 10, "completion_tokens": 6 * len(choices), "prompt_tokens_details": {"cached_tokens": 4}}
    return {"model": fields["model"], "choices": choices, "usage": usage}


def asked_of(fields: dict[str, Any]) -> tuple[str, str]:
    """The question of a request and what is written after it, of turns or of text."""
    if "messages" not in fields:
        question, _, written = fields["prompt"].partition("\n")
        return question, written
    turns = fields["messages"]
    written = turns[-1]["content"] if turns[-1]["role"] == "assistant" else ""
    return next(turn["content"] for turn in reversed(turns) if turn["role"] == "user"), written


def solved(fields: dict[str, Any], count: int | None = None, *, restarts: bool = False, **changes: Any) -> Way:
    """Solutions of "What is A + B * C?", of which four in ten go wrong, going on from what is written, mid-line too.

    Args:
        fields: The request.
        count: How many choices, if not as many as asked.
        restarts: Whether it doesn't see what is written and begins again.
        **changes: Fields of every choice, or of its turn: `text` may hold {}, where the solution goes.
    """
    question, written = asked_of(fields)
    whole, _, begun = ("", "", "") if restarts else written.rpartition("\n")
    steps = [line for line in whole.split("\n") if line]
    answer = good_answer(fields, count)
    for choice in answer["choices"]:
        seed = fields.get("seed", 0) + choice["index"]
        rest = "\n".join(_solution(question, seed, steps)[len(steps) :]).removeprefix(begun)
        text = changes.get("text", "{}")
        said = None if text is None else text.replace("{}", rest)
        choice |= {name: value for name, value in changes.items() if name in ("finish_reason", "index")}
        if "message" in choice:
            thoughts = {name: value for name, value in changes.items() if name.startswith("reasoning")}
            choice["message"] |= {"content": said, **thoughts}
        else:
            choice["text"] = said
    return answer


def _solution(question: str, seed: int, written: list[str]) -> list[str]:
    found = re.search(r"(\d+) \+ (\d+) \* (\d+)", question)
    a, b, c = map(int, found.groups()) if found else (1, 0, 1)
    if any("wrongly" in step for step in written) or (not written and Random(seed).random() < 0.4):
        return [f"wrongly {a} + {b} = {a + b}", f"So {a + b} * {c} = {(a + b) * c}", f"The answer is: {(a + b) * c}"]
    return [f"{b} * {c} = {b * c}", f"So {a} + {b * c} = {a + b * c}", f"The answer is: {a + b * c}"]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    fake: FakeServer

    def log_message(self, *_: object) -> None:
        """Says nothing."""

    def do_GET(self) -> None:
        models = self.fake.models
        if isinstance(models, int):
            self._send(models, b'{"error": {"message": "no list"}}')
        else:
            listed = [{"id": name, **self.fake.listed} for name in models]
            self._send(200, json.dumps(listed if self.fake.bare else {"data": listed}).encode())

    def do_POST(self) -> None:
        fields = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        number = self.fake.enter(fields, dict(self.headers))
        time.sleep(self.fake.delay)
        way = self.fake.misbehave(number, fields)
        self.fake.leave()
        if isinstance(way, str) and way in ("hang", "drip", "drop"):
            getattr(self, f"_{way}")()
        else:
            status, body, headers = _answered(way, fields)
            self._send(status, body, headers)

    def _hang(self) -> None:
        """Says nothing until the other side goes away."""
        select.select([self.connection], [], [], 5)
        self.close_connection = True

    def _drip(self) -> None:
        """Sends a byte at a time, for ever."""
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(200):
            try:
                self.wfile.write(b" ")
            except OSError:
                break
            time.sleep(0.02)
        self.close_connection = True

    def _drop(self) -> None:
        self.close_connection = True

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        try:
            self.send_response(status)
            for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
        except OSError:
            self.close_connection = True


def _answered(way: Way, fields: dict[str, Any]) -> tuple[int, bytes, dict[str, str]]:
    """Status, body and headers of an answer."""
    if isinstance(way, bytes):
        return 200, way, {}
    if isinstance(way, dict):
        return 200, json.dumps(good_answer(fields) | way).encode(), {}
    if isinstance(way, tuple):
        return way[0], json.dumps({"error": {"message": way[1]}}).encode(), {}
    if way.startswith("429"):
        return 429, b'{"error": {"message": "slow down"}}', {"Retry-After": way.removeprefix("429 after ")}
    good = good_answer(fields)
    if way == "too few":
        good = good_answer(fields, max(1, fields["n"] // 2))
    elif way == "scattered":
        good["choices"] = good["choices"][1::2]
    body = json.dumps(good).encode()
    return 200, body.replace(b"drawn", b"dr\xff\xfen") if way == "not UTF-8" else body, {}


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Says nothing of clients that went away in the middle."""


@contextmanager
def serving() -> Iterator[FakeServer]:
    """A server on a port of its own."""
    fake = FakeServer()
    handler = type("Handler", (_Handler,), {"fake": fake})
    server = _Quiet(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    fake.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
