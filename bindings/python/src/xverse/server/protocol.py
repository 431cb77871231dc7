"""The HTTP connection of uvicorn, with what it lacks: a time limit for heads, and error objects."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol

from .errors import error_object, text_of

__all__ = ["make_protocol"]

_REASONS = {
    400: ("the request is not valid HTTP", "invalid_http"),
    408: ("the head of the request took too long", "timeout"),
    431: ("the head of the request is too large", "headers_too_large"),
}


def make_protocol(receive_timeout: float) -> type[asyncio.Protocol]:
    """The class of connections that close when the head of a request takes longer than receive_timeout seconds."""

    class Protocol(H11Protocol):
        _head_timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._watch_head()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_timer()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._watch_head()

        def _watch_head(self) -> None:
            if self.conn.their_state is not h11.IDLE or self.transport.is_closing():
                self._stop_timer()
            elif self._head_timer is None and receive_timeout:
                self._head_timer = self.loop.call_later(receive_timeout, self._end_head)

        def _stop_timer(self) -> None:
            if self._head_timer is not None:
                self._head_timer.cancel()
                self._head_timer = None

        def _end_head(self) -> None:
            if self.conn.their_state is h11.IDLE and not self.transport.is_closing():
                self._refuse(408)

        def timeout_keep_alive_handler(self) -> None:
            super().timeout_keep_alive_handler()
            # What the client has not read by then is dropped.
            self.loop.call_later(receive_timeout or 60, self.transport.abort)

        def send_400_response(self, msg: str) -> None:
            self._refuse(getattr(sys.exc_info()[1], "error_status_hint", 400))

        def _refuse(self, status: int) -> None:
            if self.conn.our_state is not h11.IDLE and self.conn.our_state is not h11.SEND_RESPONSE:
                self.transport.close()
                return
            message, code = _REASONS.get(status, _REASONS[400])
            headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
            events: list[Any] = [
                h11.Response(status_code=status, headers=headers, reason=STATUS_PHRASES[status]),
                h11.Data(data=text_of(error_object(status, message, code))),
                h11.EndOfMessage(),
            ]
            for event in events:
                self.transport.write(self.conn.send(event) or b"")
            self.transport.close()

    return Protocol
