"""Errors of a request: OpenAI's error object, and its HTTP status."""

from __future__ import annotations

import json
from typing import Any

from starlette.responses import Response

from ..errors import (
    BusyError,
    ContextFullError,
    DeadlineError,
    InvalidError,
    LimitError,
    MismatchError,
    OutOfMemoryError,
    ParseError,
    QueueFullError,
    RangeError,
    UnsupportedError,
    XverseError,
)

__all__ = ["ClientGoneError", "RequestError", "error_object", "error_response", "from_library", "text_of"]

# Seconds after which a client may try again: with 429, and with 503.
_RETRY_AFTER = {429: "1", 503: "5"}
_STATUSES: list[tuple[type[XverseError], int]] = [
    (ParseError, 400),
    (InvalidError, 400),
    (RangeError, 400),
    (MismatchError, 400),
    (UnsupportedError, 400),
    (ContextFullError, 400),
    (LimitError, 413),
    (QueueFullError, 429),
    (OutOfMemoryError, 503),
    (BusyError, 503),
    (DeadlineError, 504),
]


class ClientGoneError(Exception):
    """The client closed the connection; there is nobody to answer."""


class RequestError(Exception):
    """A request that is not answered, with the status and the error object that the client receives."""

    def __init__(
        self,
        status: int,
        message: str,
        code: str,
        param: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = headers or {}
        self.body = error_object(status, message, code, param)


def error_object(status: int, message: str, code: str, param: str | None = None) -> dict[str, Any]:
    """OpenAI's error object; its type follows from the status."""
    kind = "rate_limit_error" if status == 429 else "server_error" if status >= 500 else "invalid_request_error"
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def from_library(error: XverseError) -> RequestError:
    """The library's error as one of a request, with the library's own error object where it has one."""
    status = next((status for kind, status in _STATUSES if isinstance(error, kind)), 500)
    code = "invalid_value" if status < 500 else "internal_error"
    found = RequestError(status, str(error), code)
    if error.response is not None:
        found.body = error.response
        found.code = str(error.response["error"]["code"])
    return found


def text_of(body: Any) -> bytes:
    """A JSON text in UTF-8; an unpaired surrogate that a client sent stays an escape."""
    try:
        return json.dumps(body, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return json.dumps(body).encode()


def error_response(error: RequestError) -> Response:
    headers = dict(error.headers)
    if error.status in _RETRY_AFTER:
        headers.setdefault("Retry-After", _RETRY_AFTER[error.status])
    return Response(text_of(error.body), error.status, headers, "application/json")
