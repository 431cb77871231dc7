"""Answers on their way to a client: one response, or a stream of server-sent events."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Callable

from starlette.responses import Response

from ..errors import XverseError
from .errors import ClientGoneError, RequestError, text_of
from .limits import wait_until_gone

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from ..aio import AsyncJSONAnswer

__all__ = ["EventStream", "follow", "timed_out"]

_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]


# Seconds that a client has to receive the error of the deadline.
_LAST_SECONDS = 1.0


async def follow(
    answer: AsyncJSONAnswer, receive: Receive, deadline: float, keep_alive: float
) -> AsyncIterator[str | None]:
    """The JSON texts of an answer, and None after every keep_alive seconds without one (0: never). When it is left, the
    answer ends.

    Args:
        deadline: in the time of the event loop.

    Raises:
        ClientGoneError. RequestError: the deadline. XverseError: the answer failed.
    """
    loop = asyncio.get_running_loop()
    gone = asyncio.ensure_future(wait_until_gone(receive))
    coming: asyncio.Future[str | None] | None = None
    try:
        while True:
            if coming is None:
                coming = asyncio.ensure_future(_next(answer))
            left = deadline - loop.time()
            wait = min(left, keep_alive or left)
            both: set[asyncio.Future[Any]] = {coming, gone}
            await asyncio.wait(
                both,
                timeout=None if wait == float("inf") else max(0, wait),
                return_when=asyncio.FIRST_COMPLETED,
            )
            if gone.done():
                raise ClientGoneError
            if coming.done():
                text, coming = coming.result(), None
                if text is None:
                    return
                yield text
            elif loop.time() >= deadline:
                raise timed_out()
            else:
                yield None
    finally:
        gone.cancel()
        if coming is not None:
            coming.cancel()
        await answer.aclose()


async def _next(answer: AsyncJSONAnswer) -> str | None:
    async for text in answer:
        return text
    return None


def timed_out() -> RequestError:
    return RequestError(504, "the request took longer than the server allows", "timeout")


class EventStream(Response):
    """Sends the texts of `follow` as server-sent events, in the format of OpenAI's streams.

    The head is sent with the first event, so that an answer that fails before it has a status of its own. A client that
    reads slowly delays only this response.
    """

    def __init__(
        self,
        texts: AsyncIterator[str | None],
        deadline: float,
        to_error: Callable[[XverseError], RequestError],
        on_end: Callable[[int], None],
    ) -> None:
        super().__init__(media_type="text/event-stream")
        self._texts = texts
        self._deadline = deadline
        self._to_error = to_error
        self._on_end = on_end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._has_begun = False
        self._send = send
        status = 500
        try:
            async for text in self._texts:
                await self._write(b": keep-alive\n\n" if text is None else f"data: {text}\n\n".encode())
            await self._write(b"data: [DONE]\n\n", is_last=True)
            status = 200
        except ClientGoneError:
            status = 499
        except (RequestError, XverseError) as found:
            error = self._to_error(found) if isinstance(found, XverseError) else found
            status = error.status
            if not self._has_begun:
                raise
            with contextlib.suppress(ClientGoneError):
                await self._write(b"data: " + text_of(error.body) + b"\n\n", is_last=True)
        finally:
            self._on_end(status)
            aclose = getattr(self._texts, "aclose", None)
            if aclose is not None:
                await aclose()

    async def _write(self, data: bytes, is_last: bool = False) -> None:
        if not self._has_begun:
            self._has_begun = True
            await self._send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        sending = self._send({"type": "http.response.body", "body": data, "more_body": not is_last})
        # A moment behind the deadline for what tells of it.
        left = max(_LAST_SECONDS, self._deadline - asyncio.get_running_loop().time())
        try:
            await asyncio.wait_for(sending, None if left == float("inf") else left)
        except asyncio.TimeoutError:
            # The client does not read, so there is no use in telling it.
            raise ClientGoneError from None
