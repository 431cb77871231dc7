"""Cancellation from another thread, a signal handler or a callback."""

from __future__ import annotations

import time
from typing import Any, Protocol

__all__ = ["Cancel"]


class _Cancellable(Protocol):
    def cancel(self) -> None: ...

    def expire(self, deadline: float | None) -> None: ...


class Cancel:
    """A flag that ends the calls that were given it; it stays set until `reset`.

        cancel = Cancel(deadline_ms=2000)
        result = session.generate("Once upon a time", cancel=cancel)

    The calls end with CancelledError, or DeadlineError, within the time of 2^33 multiply-adds; a session is valid
    afterwards and holds what was evaluated. Any number of calls may share one; any thread and any signal handler may
    use it.

    Args:
        deadline_ms: ends the calls this many milliseconds after now; 0 or less: no deadline.
    """

    def __init__(self, deadline_ms: int = 0) -> None:
        # No lock, so that a signal handler can interrupt any of these methods: additions to a set and copies of it are
        # atomic.
        self._calls: set[Any] = set()
        self._deadline: float | None = None
        self._is_triggered = False
        self.reset(deadline_ms)

    def trigger(self) -> None:
        """Ends the calls."""
        self._is_triggered = True
        for call in list(self._calls):
            call.cancel()

    def reset(self, deadline_ms: int = 0) -> None:
        """Clears the flag; the deadline is then deadline_ms milliseconds from now, or none for 0 or less."""
        self._is_triggered = False
        self._deadline = time.monotonic() + deadline_ms / 1000 if deadline_ms > 0 else None
        for call in list(self._calls):
            call.expire(self._deadline)

    @property
    def triggered(self) -> bool:
        """Whether `trigger` was called since the last `reset`."""
        return self._is_triggered

    def _attach(self, call: _Cancellable) -> None:
        self._calls.add(call)
        if self._deadline is not None:
            call.expire(self._deadline)
        if self._is_triggered:
            call.cancel()

    def _detach(self, call: _Cancellable) -> None:
        self._calls.discard(call)
