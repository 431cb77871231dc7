"""What a request may be and have: its key, its host, its body, its place among the answers."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any

from .errors import ClientGoneError, RequestError

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import Receive

    from .settings import Settings

__all__ = ["Admission", "Keys", "Place", "check_host", "read_body", "read_object", "wait_until_gone"]

_LOOPBACK_NAMES = frozenset(["localhost", "127.0.0.1", "::1"])


class Keys:
    """The API keys; without any, every request has access."""

    def __init__(self, keys: tuple[str, ...]) -> None:
        self._digests = [hashlib.sha256(key.encode()).digest() for key in keys]

    def check(self, authorization: str) -> None:
        """Raises RequestError 401 unless an Authorization header has one of the keys. The time does not depend on how
        much of a key is right."""
        if not self._digests:
            return
        scheme, _, key = authorization.partition(" ")
        digest = hashlib.sha256(key.strip().encode("utf-8", "surrogateescape")).digest()
        is_known = [hmac.compare_digest(digest, known) for known in self._digests]
        if scheme.lower() != "bearer" or not any(is_known):
            message = "no valid API key; expected the header 'Authorization: Bearer KEY'"
            raise RequestError(401, message, "invalid_api_key", headers={"WWW-Authenticate": "Bearer"})


def check_host(host: str, settings: Settings) -> None:
    """Refuses a page in a browser of this machine whose name was made to point to a loopback address (DNS rebinding)."""
    if settings.keys or not settings.is_loopback:
        return
    name = host.strip().lower()
    name = name[1:].partition("]")[0] if name.startswith("[") else name.partition(":")[0]
    if name not in _LOOPBACK_NAMES and name not in settings.allowed_hosts:
        message = f"the Host header has {name!r:.80}, expected localhost or a name given with --allowed-host"
        raise RequestError(403, message, "host_not_allowed")


async def wait_until_gone(receive: Receive) -> None:
    """Returns when the client has closed the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def read_body(request: Request, settings: Settings) -> bytes:
    """The body of a POST request.

    Raises:
        RequestError: no JSON by its header, too large, too slow. ClientGoneError.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        message = f"Content-Type is {kind!r:.80}, expected application/json"
        raise RequestError(415, message, "unsupported_media_type")
    length = request.headers.get("content-length", "")
    if length.isascii() and length.isdigit() and int(length[:20]) > settings.max_body:
        raise _too_large(settings)
    try:
        return await asyncio.wait_for(_read(request, settings), settings.receive_timeout or None)
    except asyncio.TimeoutError:
        message = f"the body took longer than {settings.receive_timeout:g} s"
        raise RequestError(408, message, "timeout", headers={"Connection": "close"}) from None


async def _read(request: Request, settings: Settings) -> bytes:
    parts: list[bytes] = []
    length = 0
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        part: bytes = message.get("body", b"")
        length += len(part)
        if length > settings.max_body:
            raise _too_large(settings)
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)


def _too_large(settings: Settings) -> RequestError:
    message = f"the body has more than {settings.max_body} bytes"
    return RequestError(413, message, "request_too_large", headers={"Connection": "close"})


def read_object(body: bytes) -> dict[str, Any] | None:
    """The JSON object of a body; None when it is none."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


class Admission:
    """How many answers there are, from their request until the client has read them."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.active = 0

    def take(self, count: int) -> Place:
        """Room for the answers of a request.

        Raises:
            RequestError: 429.
        """
        if self.active + count > self.most:
            message = (
                f"{self.active} answers run or wait and the request needs {count} more, expected {self.most} at most"
            )
            raise RequestError(429, message, "queue_full")
        return Place(self, count)


class Place:
    """What a request takes until `release`."""

    def __init__(self, admission: Admission, count: int) -> None:
        self._admission = admission
        self._count = count
        admission.active += count

    def release(self) -> None:
        self._admission.active -= self._count
        self._count = 0
