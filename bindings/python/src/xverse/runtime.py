"""Runtimes: the compute thread, its helpers, the memory and the log of models."""

from __future__ import annotations

import atexit
import os
import threading
import weakref
from ctypes import POINTER, byref, c_int64, pointer
from typing import TYPE_CHECKING, Any, Callable

from . import _ffi
from ._handle import Handle, Owner
from ._library import lib
from .errors import check
from .options import make_options

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .options import RuntimeOptions

__all__ = ["Runtime", "default_runtime"]

LOG_LEVELS = {
    "off": _ffi.LOG_OFF,
    "error": _ffi.LOG_ERROR,
    "warn": _ffi.LOG_WARN,
    "info": _ffi.LOG_INFO,
    "debug": _ffi.LOG_DEBUG,
}
_LEVEL_NAMES = {value: name for name, value in LOG_LEVELS.items()}
_logging: weakref.WeakSet[Handle] = weakref.WeakSet()


class Runtime(Owner):
    """A compute thread and those that help it, to which the sessions of its models hand their work in turn.

    Models share one runtime of the process unless they are given another, or options of one.

    Args:
        allocator: a struct of C functions, `xverse._ffi.xverse_allocator`; functions of Python are no good for it, since
            any thread may call them, also while the interpreter ends.
        threads: compute threads; default: XVERSE_NUM_THREADS, or the CPUs that this process may use.
        threading: who starts them. The default of this package is "pthread", unless XVERSE_THREADING is set: OpenMP's
            libomp ends the process when PyTorch, MKL or scikit-learn bring another OpenMP runtime, before it or after.
        memory_limit: most bytes held at a time, mapped files not counted; 0: no limit.
        isa: which kernels: auto, reference, avx2, avxvnni, avx512, neon.

    Raises:
        InvalidError, RangeError: an option. UnsupportedError: isa; threading openmp without libomp. OutOfMemoryError.
    """

    def __init__(self, *, allocator: _ffi.xverse_allocator | None = None, **options: Unpack[RuntimeOptions]) -> None:
        values: dict[str, Any] = dict(options)
        if values.get("threading") is None and not os.environ.get("XVERSE_THREADING"):
            values["threading"] = "pthread"
        chosen = make_options("runtime", values)
        functions = pointer(allocator) if allocator is not None else POINTER(_ffi.xverse_allocator)()
        self._owned = Handle(lib.xverse_runtime_create, lib.xverse_runtime_release, chosen, functions)
        self._owned.keeps = allocator

    def set_log(self, function: Callable[[str, str], object] | None, level: str = "info") -> None:
        """Sends messages up to a level to function(level, message); None: silence.

        The function runs on the thread that caused the message, perhaps one of the library's. It has no caller that could
        get an exception: sys.unraisablehook gets it.

        Args:
            level: "error", "warn", "info" or "debug".

        Raises:
            ValueError: another level.
        """
        if level not in LOG_LEVELS:
            raise ValueError(f"level is {level!r}, expected one of {', '.join(LOG_LEVELS)}")
        handle = self._handle
        callback = _ffi.xverse_log_fn()
        if function is not None and level != "off":
            log = function

            def receive(_: object, number: int, message: bytes, _length: int) -> None:
                log(_LEVEL_NAMES.get(number, "debug"), message.decode(errors="replace"))

            callback = _ffi.xverse_log_fn(receive)
            _logging.add(handle)
        check(lib.xverse_runtime_set_log(handle, callback, None, LOG_LEVELS[level]))
        handle.keeps = (handle.keeps, callback)

    @property
    def memory(self) -> tuple[int, int]:
        """Bytes held now and the most ever held, mapped files not counted."""
        current, peak = c_int64(), c_int64()
        check(lib.xverse_runtime_memory(self._handle, byref(current), byref(peak)))
        return current.value, peak.value


_default: Runtime | None = None
_default_lock = threading.Lock()


def default_runtime() -> Runtime:
    """The runtime of models that are given no other; made when it is first needed."""
    global _default
    with _default_lock:
        if _default is None or _default.closed:
            _default = Runtime()
        return _default


@atexit.register
def _silence() -> None:
    """No function of Python may be called while the interpreter ends."""
    for handle in list(_logging):
        lib.xverse_runtime_set_log(handle, _ffi.xverse_log_fn(), None, _ffi.LOG_OFF)


def _forget_lock() -> None:
    global _default_lock
    _default_lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_lock)
