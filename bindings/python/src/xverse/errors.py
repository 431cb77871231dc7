"""One exception class for each error status of the library.

Each is an `XverseError` and also what Python programs catch for such a failure: a missing model is a `FileNotFoundError`,
an argument out of bounds a `ValueError`, no memory a `MemoryError`.
"""

from __future__ import annotations

import errno
import queue
from typing import Any, ClassVar

from . import _ffi
from ._library import lib

__all__ = [
    "BusyError",
    "CallbackError",
    "CancelledError",
    "CommunicationError",
    "ContextFullError",
    "CorruptError",
    "DeadlineError",
    "FailError",
    "FileError",
    "ForkedError",
    "InternalError",
    "InvalidError",
    "LimitError",
    "MismatchError",
    "MisuseError",
    "NotFoundError",
    "OutOfMemoryError",
    "ParseError",
    "QueueFullError",
    "RangeError",
    "UnsafeError",
    "UnsupportedError",
    "XverseError",
]


class XverseError(Exception):
    """A call of the library failed; the text is one sentence that names the place, what was found and what was expected.

    Attributes:
        status: the number of the error, negative, as in xverse.h.
        name: the number's name, such as "XVERSE_E_NOTFOUND".
        offset: where in a text or file the sentence speaks of, in bytes from its start; -1 when there is no such place.
        response: OpenAI's error object, {"error": {...}}, of a request of OpenAI's interface; else None.
    """

    status: ClassVar[int] = 0
    name: ClassVar[str] = "unknown status"

    def __init__(self, message: str, *, offset: int = -1, response: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.offset = offset
        self.response = response

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), str(self), self.offset, self.response)


def _rebuild(kind: type[XverseError], message: str, offset: int, response: dict[str, Any] | None) -> XverseError:
    return kind(message, offset=offset, response=response)


class FailError(XverseError, RuntimeError):
    """The model gave no usable answer, for example no token with a finite logit."""

    status, name = _ffi.E_FAIL, "XVERSE_E_FAIL"


class OutOfMemoryError(XverseError, MemoryError):
    """Memory, or what `memory_limit` allows, is exhausted."""

    status, name = _ffi.E_NOMEM, "XVERSE_E_NOMEM"


class InvalidError(XverseError, ValueError):
    """An argument that is never right: an unknown option, a malformed path."""

    status, name = _ffi.E_INVALID, "XVERSE_E_INVALID"


class MisuseError(XverseError, RuntimeError):
    """A right call at a wrong time: on an object that is closed, inside a callback."""

    status, name = _ffi.E_MISUSE, "XVERSE_E_MISUSE"


class BusyError(XverseError, RuntimeError):
    """Another thread, or a stream that was not closed, is using the object."""

    status, name = _ffi.E_BUSY, "XVERSE_E_BUSY"


class CancelledError(XverseError, RuntimeError):
    """The call's `Cancel` was triggered, or a progress function returned True. (asyncio's CancelledError is another.)"""

    status, name = _ffi.E_CANCELLED, "XVERSE_E_CANCELLED"


class DeadlineError(XverseError, TimeoutError):
    """The deadline of the call's `Cancel` passed."""

    status, name = _ffi.E_DEADLINE, "XVERSE_E_DEADLINE"


class FileError(XverseError, OSError):
    """The system could not read or write a file."""

    status, name = _ffi.E_IO, "XVERSE_E_IO"


class NotFoundError(XverseError, FileNotFoundError):
    """A file or directory does not exist; `errno` is ENOENT."""

    status, name = _ffi.E_NOTFOUND, "XVERSE_E_NOTFOUND"

    def __init__(self, message: str, *, offset: int = -1, response: dict[str, Any] | None = None) -> None:
        super().__init__(message, offset=offset, response=response)
        self.errno = errno.ENOENT


class CorruptError(XverseError, ValueError):
    """A file contradicts its format or itself."""

    status, name = _ffi.E_CORRUPT, "XVERSE_E_CORRUPT"


class UnsupportedError(XverseError, NotImplementedError):
    """A valid file or request that needs something this library does not have."""

    status, name = _ffi.E_UNSUPPORTED, "XVERSE_E_UNSUPPORTED"


class UnsafeError(XverseError, ValueError):
    """A file that would have to execute code to be read."""

    status, name = _ffi.E_UNSAFE, "XVERSE_E_UNSAFE"


class RangeError(XverseError, ValueError):
    """A value outside its bounds."""

    status, name = _ffi.E_RANGE, "XVERSE_E_RANGE"


class ContextFullError(XverseError, ValueError):
    """More tokens than the session's context holds."""

    status, name = _ffi.E_CONTEXT_FULL, "XVERSE_E_CONTEXT_FULL"


class QueueFullError(XverseError, queue.Full):
    """A scheduler holds as many unfinished or unread answers as it may: try again when one has ended."""

    status, name = _ffi.E_QUEUE_FULL, "XVERSE_E_QUEUE_FULL"


class ParseError(XverseError, ValueError):
    """An argument that should be JSON is not; `offset` is the place of the error in it."""

    status, name = _ffi.E_PARSE, "XVERSE_E_PARSE"


class MismatchError(XverseError, ValueError):
    """Two objects that do not belong together, such as a saved session and another model."""

    status, name = _ffi.E_MISMATCH, "XVERSE_E_MISMATCH"


class ForkedError(XverseError, RuntimeError):
    """Called in a child after fork(): use multiprocessing's start method "spawn", or load the model in the child only."""

    status, name = _ffi.E_FORKED, "XVERSE_E_FORKED"


class LimitError(XverseError, ValueError):
    """A file or request larger or deeper than this library accepts."""

    status, name = _ffi.E_LIMIT, "XVERSE_E_LIMIT"


class CallbackError(XverseError, RuntimeError):
    """A callback broke its contract."""

    status, name = _ffi.E_CALLBACK, "XVERSE_E_CALLBACK"


class CommunicationError(XverseError, ConnectionError):
    """Reserved by the library; nothing raises it yet."""

    status, name = _ffi.E_COMM, "XVERSE_E_COMM"


class InternalError(XverseError, RuntimeError):
    """A fault of the library: please report it."""

    status, name = _ffi.E_INTERNAL, "XVERSE_E_INTERNAL"


CLASSES: dict[int, type[XverseError]] = {kind.status: kind for kind in XverseError.__subclasses__()}


def error(status: int, message: str, offset: int = -1, response: dict[str, Any] | None = None) -> XverseError:
    """The exception for a status below 0; one that this package does not know is an XverseError itself."""
    kind = CLASSES.get(status)
    if kind is None:
        found = XverseError(f"{message} (status {status})", offset=offset, response=response)
        return found
    return kind(message, offset=offset, response=response)


def last_error(status: int, response: dict[str, Any] | None = None) -> XverseError:
    """The exception for the call that just failed on this thread."""
    message = lib.xverse_last_error().decode(errors="replace")
    return error(status, message, lib.xverse_last_error_offset(), response)


def check(status: int) -> int:
    """The status of a call, 0 or above.

    Raises:
        XverseError: it is below 0.
    """
    if status < 0:
        raise last_error(status)
    return status
