"""One call of an OpenAI-compatible server, and what its failure means: ask again, the prompt's own fault, or give up.

The key is read from the environment for each run of calls. It is never kept, and taken out of all that a server says.
"""

import asyncio
import email.utils
import json
import math
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from stepward.credentials import is_variable, redacted
from stepward.errors import StepwardError
from stepward.generation.openai.responses import RetryableError, is_about_context, read_json

_LONGEST_BODY = 1 << 26
_LONGEST_WORDS = 300
_ASK_AGAIN = (408, 409, 425, 429)
_OWN_FAULT = (400, 413, 422)
_FIELDS = {401: "key", 402: "key", 403: "key", 404: "model"}
"""What a recipe has to change."""


class BadRequestError(Exception):
    """A server refuses one request for what is in it.

    Attributes:
        fault: `context`, or `refused` with the server's words.
    """

    def __init__(self, fault: str) -> None:
        super().__init__(fault)
        self.fault = fault


class FatalServerError(StepwardError):
    """A server will refuse every request.

    Attributes:
        status: The HTTP status that says so.
        words: What it says of it.
    """

    def __init__(self, message: str, status: int, words: str) -> None:
        super().__init__(message, code="server_refused", field=_FIELDS.get(status))
        self.status = status
        self.words = words


def checked_url(url: str) -> str:
    """A server's address without a slash at its end.

    Raises:
        StepwardError: It is no address of a server, or holds a password or a query.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    if parts.scheme not in ("http", "https") or not host:
        # Without a colon or a point it may be a key; behind these signs stand passwords and keys.
        shown = (":" in url or "." in url) and not set("@?#") & set(url)
        found = f" {redacted(url)!r}" if shown else ""
        raise StepwardError(
            f"url{found}: expected a server's address up to /v1, such as http://localhost:8000/v1",
            code="bad_value",
            field="url",
        )
    if parts.username or parts.password or parts.query or parts.fragment:
        raise StepwardError(
            f"url of {host}: it holds more than an address; a key belongs into an environment variable, whose name "
            "is the section's `key`",
            code="bad_value",
            field="url",
        )
    return url.rstrip("/")


def key_of(variable: str | None) -> str | None:
    """The key in an environment variable; None where no variable is named.

    Raises:
        StepwardError: It is no variable's name, as the key itself isn't; it is not set, or what it holds can't be sent.
    """
    if variable is None:
        return None
    if not is_variable(variable):
        raise StepwardError(
            "key: expected the name of the environment variable that holds the key, such as MY_SERVER_KEY, and never "
            "the key itself; what was given is not shown, since it may be one",
            code="bad_value",
            field="key",
        )
    key = os.environ.get(variable, "").strip()
    # A word of small letters may be a password.
    name = f"the environment variable {variable}" if variable.isupper() else "that environment variable"
    if not key:
        raise StepwardError(f"key: {name} is not set; expected the server's key in it", code="missing", field="key")
    if not (key.isascii() and key.isprintable()):
        raise StepwardError(
            f"key: what {name} holds is no key: expected one line of ASCII", code="bad_value", field="key"
        )
    return key


class Server:
    """Calls one server.

    Args:
        url: Its address up to `/v1`.
        variable: The environment variable with its key.
        concurrency: Requests under way at once, at most.
        timeout: Seconds until a request is given up.
    """

    def __init__(self, url: str, variable: str | None, concurrency: int, timeout: float) -> None:
        self.url = checked_url(url)
        self._variable = variable
        self._concurrency = concurrency
        self._timeout = timeout
        key_of(variable)

    @asynccontextmanager
    async def calls(self) -> AsyncIterator["Calls"]:
        """Connections that live as long as the event loop they are made in."""
        try:
            import httpx2
        except ImportError as error:
            raise StepwardError(
                "engine: server needs httpx2: install stepward[server]", code="missing_dependency", field="engine"
            ) from error
        key = key_of(self._variable)
        limits = httpx2.Limits(max_connections=self._concurrency, max_keepalive_connections=self._concurrency)
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        # A timeout of its own for each read would let a server that sends a byte a second go on for ever.
        async with httpx2.AsyncClient(headers=headers, limits=limits, timeout=None, follow_redirects=False) as client:
            yield Calls(client, self.url, key, asyncio.Semaphore(self._concurrency), self._timeout)


class Calls:
    """The calls of one run; see `Server`."""

    def __init__(self, client: Any, url: str, key: str | None, room: asyncio.Semaphore, timeout: float) -> None:
        self._client = client
        self._url = url
        self._key = key
        self._room = room
        self._timeout = timeout

    async def get(self, path: str) -> bytes:
        """The body at a path; what it raises, `post` says."""
        return await self._body("GET", path, None)

    async def post(self, path: str, fields: dict[str, Any]) -> bytes:
        """The body that answers a request.

        Raises:
            RetryableError: The call may be made again.
            BadRequestError: The request will always be refused for what is in it.
            FatalServerError: The server will refuse every request.
        """
        return await self._body("POST", path, fields)

    async def _body(self, method: str, path: str, fields: dict[str, Any] | None) -> bytes:
        import httpx2

        # ASCII with escapes: a lone surrogate in a problem is the server's to refuse.
        content = None if fields is None else json.dumps(fields)
        async with self._room:
            try:
                async with (
                    asyncio.timeout(self._timeout),
                    self._client.stream(method, self._url + path, content=content) as answer,
                ):
                    body = bytearray()
                    async for piece in answer.aiter_bytes():
                        body += piece
                        if len(body) > _LONGEST_BODY:
                            raise RetryableError("endless body")
                    status, wait = answer.status_code, _wait(answer.headers.get("retry-after"))
            except TimeoutError:
                raise RetryableError("timeout") from None
            except httpx2.DecodingError:
                raise RetryableError("not UTF-8") from None
            except httpx2.ConnectError:
                raise RetryableError("no connection") from None
            except httpx2.TransportError:
                raise RetryableError("dropped") from None
        if status != 200:
            self._refuse(status, self._words(bytes(body)), wait, path)
        return bytes(body)

    def _refuse(self, status: int, words: str, wait: float, path: str) -> None:
        if status in _OWN_FAULT:
            raise BadRequestError("context" if is_about_context(words) else f"refused: {words}")
        if (status >= 500 and status != 501) or (status in _ASK_AGAIN and "insufficient_quota" not in words):
            raise RetryableError(f"status {status}", wait)
        why = {
            401: "the key is wrong or lacking; name the environment variable that holds it as `key`",
            402: "the account has no money left",
            403: "the key does not give access",
            404: "the model or the address is not there; expected the address up to /v1, and the model's name there",
        }.get(status, "it will not answer such requests")
        said = f" ({words})" if words else ""
        raise FatalServerError(f"{self._url}{path}: status {status}: {why}{said}", status, words)

    def _words(self, body: bytes) -> str:
        """What a server says of an error, in one line and without the key."""
        text = body.decode("utf-8", "replace")
        try:
            error = read_json(body).get("error", text)
        except RetryableError:
            error = text
        if isinstance(error, dict):
            error = " ".join(str(error[name]) for name in ("message", "code", "type") if error.get(name))
        words = " ".join(str(error).split())
        return (words.replace(self._key, "***") if self._key else words)[:_LONGEST_WORDS]


def _wait(header: str | None) -> float:
    """Seconds that a `Retry-After` header asks for, given in seconds or as a date; 0 without one that can be read."""
    if not header:
        return 0.0
    try:
        seconds = float(header)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(header).timestamp() - time.time()
        except ValueError:
            return 0.0
    return max(0.0, seconds) if math.isfinite(seconds) else 0.0
