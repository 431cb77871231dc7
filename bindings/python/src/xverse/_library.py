"""Finds libxverse.so.1 and loads it.

The library is loaded when the first function of it is needed, not with `import xverse`: documentation tools, type
checkers and a process that is going to fork can import the package without it.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import Any, Callable

from . import _ffi

SONAME = "libxverse.so.1"
_BUNDLED = Path(__file__).with_name("_lib") / SONAME


def _candidates() -> list[str]:
    """Where the library may be, the first that applies first. A path that the user gave is the only one."""
    if chosen := os.environ.get("XVERSE_LIBRARY"):
        return [chosen]
    return [str(_BUNDLED), SONAME] if _BUNDLED.exists() else [SONAME]


def load_library() -> ctypes.CDLL:
    """The loaded library, its functions declared.

    Raises:
        ImportError: the library is not there, or it is too old for this package.
    """
    problems = []
    for path in _candidates():
        try:
            library = ctypes.CDLL(path)
        except OSError as error:
            problems.append(str(error))
            continue
        for name, (result, parameters) in _ffi.FUNCTIONS.items():
            try:
                function = getattr(library, name)
            except AttributeError:
                raise ImportError(
                    f"{path} has no function {name}, expected a libxverse of the same version as this Python package"
                ) from None
            function.restype = result
            function.argtypes = parameters
        return library
    raise ImportError(
        f"libxverse cannot be loaded: {'; '.join(problems)}. Install it (make install), install the wheel, which contains "
        f"it, or set XVERSE_LIBRARY to the path of {SONAME}"
    )


class _Library:
    """The functions of the C interface as attributes; the library is loaded with the first."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name not in _ffi.FUNCTIONS:
            raise AttributeError(f"the C interface has no function {name}")
        # From now on they are plain attributes, found without this method.
        library = load_library()
        for declared in _ffi.FUNCTIONS:
            self.__dict__.setdefault(declared, getattr(library, declared))
        function: Callable[..., Any] = self.__dict__[name]
        return function


lib = _Library()
