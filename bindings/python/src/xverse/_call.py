"""Long calls of the library, each on a thread of its own.

Python notices signals only while its main thread runs Python, so that thread must not be inside the library for long:
it waits for the call here, and Ctrl-C ends the call. Callbacks of the user run on the thread that made the call, where
an exception that they raise goes to the caller by itself. And no thread may be inside a callback when the interpreter
ends: then all calls are cancelled and waited for.
"""

from __future__ import annotations

import _thread
import atexit
import math
import os
import queue
import threading
import time
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Callable, Generic, TypeVar

from ._handle import Handle
from ._library import lib

if TYPE_CHECKING:
    from .cancel import Cancel

T = TypeVar("T")

# Least seconds between two wake-ups of a reader: each takes processor time from the threads that compute.
_WAKE_INTERVAL = 0.005

_calls: set[Call[Any]] = set()
_calls_lock = threading.Lock()
_is_ending = False


class Call(Generic[T]):
    """A long call and what comes out of it.

    What is called is function(call), with `call.cancel_handle` for the library. What it tells through `tell` are the
    `pieces`; what it returns is `result`, what it raises is raised by `pieces`.
    """

    def __init__(self, function: Callable[[Call[T]], T], cancel: Cancel | None = None) -> None:
        """Nothing runs before `pieces` or `wait`."""
        self.cancel_handle = Handle(lib.xverse_cancel_create, lib.xverse_cancel_free)
        self.result: T | None = None
        self._function: Callable[[Call[T]], T] | None = function
        self._cancel = cancel
        self._pieces: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._is_cancelled = False
        self._finished = threading.Event()
        self._threads: list[int] = []

    # ---- on the call's thread ----

    def _run(self) -> None:
        try:
            assert self._function is not None
            self.result = self._function(self)
            self._pieces.put(None)
        except BaseException as error:  # noqa: BLE001 -- raised again by the reader
            self._pieces.put(error)
        self._function = None
        self._finished.set()
        with _calls_lock:
            _calls.discard(self)

    def tell(self, piece: Any, wait: bool) -> bool:
        """Hands a piece to the reader; returns whether to stop, which the reader says when it waits."""
        if self._is_cancelled:
            return True
        self._pieces.put(piece)
        return self._answers.get() if wait else False

    # ---- on the reader's thread ----

    def _start(self) -> None:
        if self._cancel is not None:
            self._cancel._attach(self)
        with _calls_lock:
            if _is_ending:
                raise RuntimeError("the interpreter is shutting down")
            _calls.add(self)
            # Started and noted without a line of Python between, so that Ctrl-C cannot leave a thread that nobody knows.
            self._threads.extend(map(_thread.start_new_thread, [self._run], [()]))

    def _stop(self) -> None:
        if self._cancel is not None:
            self._cancel._detach(self)
        self._abandon()
        if not self._threads:
            _calls.discard(self)
        elif not _is_ending:
            self._finished.wait()

    def _abandon(self) -> None:
        self._is_cancelled = True
        self.cancel()
        self._answers.put(True)

    def pieces(self, rests: bool = False) -> Generator[Any, None, None]:
        """Starts the call, and yields what it tells until it is done; leaving early cancels it, and waits for its end.

        Args:
            rests: whether pieces that come faster than `_WAKE_INTERVAL` may come several at a time.
        """
        next_wake = 0.0
        try:
            self._start()
            while True:
                if rests and self._pieces.empty():
                    now = time.monotonic()
                    if now < next_wake:
                        time.sleep(next_wake - now)
                    piece = self._pieces.get()
                    next_wake = time.monotonic() + _WAKE_INTERVAL
                else:
                    piece = self._pieces.get()
                if piece is None:
                    break
                if isinstance(piece, BaseException):
                    _rest_at_the_end()
                    raise piece
                yield piece
        finally:
            try:
                self._stop()
            except BaseException:  # Ctrl-C on the way
                self._stop()
                raise

    def answer(self, stop: bool) -> None:
        """What the call's thread waits for after a piece that it told with `wait`."""
        self._answers.put(stop)

    def wait(self, on_piece: Callable[[Any], object] | None = None) -> T:
        """The result. on_piece receives what the call tells and waits for; True from it asks the call to stop."""
        pieces = self.pieces()
        try:
            for piece in pieces:
                self.answer(on_piece is not None and on_piece(piece) is True)
        finally:
            pieces.close()
        return self.result  # type: ignore[return-value]

    # ---- on any thread ----

    def cancel(self) -> None:
        """Ends the call with CancelledError soon."""
        lib.xverse_cancel_trigger(self.cancel_handle)

    def expire(self, deadline: float | None) -> None:
        """Ends the call with DeadlineError at a time of the monotonic clock, in seconds; clears what cancel() did."""
        left = 0 if deadline is None else max(1, math.ceil((deadline - time.monotonic()) * 1000))
        lib.xverse_cancel_reset(self.cancel_handle, left)
        if self._is_cancelled:
            self.cancel()


def _rest_at_the_end() -> None:
    """Keeps a daemon thread whose call was cancelled by the end of the interpreter from telling of it: it stays here."""
    while _is_ending and threading.current_thread() is not threading.main_thread():
        time.sleep(3600)


def _end_all() -> None:
    """Before the interpreter goes."""
    global _is_ending
    with _calls_lock:
        _is_ending = True
        calls = list(_calls)
    for call in calls:
        call._abandon()
    for call in calls:
        if call._threads:
            call._finished.wait(10)


def _forget_calls() -> None:
    global _calls_lock
    _calls.clear()  # their threads are the parent's
    _calls_lock = threading.Lock()


atexit.register(_end_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_calls)
