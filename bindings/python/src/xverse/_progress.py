"""Progress functions of long calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable

from . import _ffi
from .errors import CancelledError, check

if TYPE_CHECKING:
    from typing_extensions import TypeAlias

    from ._call import Call

    Progress: TypeAlias = Callable[[str, int, int], object]


def progress_callback(call: Call[Any], progress: Progress | None) -> Any:
    """What the library calls: it hands the figures to the thread that made the call, and waits."""
    if progress is None:
        return _ffi.xverse_progress_fn()
    return _ffi.xverse_progress_fn(
        lambda _, phase, done, total: 1 if call.tell((phase.decode(), done, total), wait=True) else 0
    )


def progress_pieces(progress: Progress | None) -> Callable[[Any], object] | None:
    """What the thread that made the call does with them."""
    return None if progress is None else lambda figures: progress(*figures)


def stopped(status: int, what: str) -> None:
    """Raises when a progress function stopped the call, as when it failed."""
    if check(status) == _ffi.STOPPED:
        raise CancelledError(f"the progress function stopped {what}")
