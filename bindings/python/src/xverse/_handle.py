"""Objects of the library that Python owns, and texts and arrays on their way in and out."""

from __future__ import annotations

import ctypes
import functools
import operator
from collections.abc import Iterable
from ctypes import byref, c_int32, c_size_t, c_void_p
from typing import TYPE_CHECKING, Any, Callable, NoReturn, Union

from ._library import lib
from .errors import MisuseError, check

if TYPE_CHECKING:
    import os

    from typing_extensions import Self, TypeAlias

    StrPath: TypeAlias = Union[str, bytes, os.PathLike[str], os.PathLike[bytes]]


class Handle:
    """Owns one object of the library and frees it with the Python object, whatever else holds a reference."""

    # What frees the object; until there is one, a call without arguments that does nothing.
    _release: Callable[[], object] = int
    # A method here would lose Ctrl-C: Python can raise KeyboardInterrupt at its first line, and passes over whatever a
    # __del__ raises. This one comes to `_release()` without running a line of Python.
    __del__ = property(operator.attrgetter("_release"))

    def __init__(self, create: Callable[..., int], free: Callable[[c_void_p], object], *arguments: Any) -> None:
        handle = c_void_p()
        check(create(*arguments, byref(handle)))
        self.keeps: Any = None
        """What must live as long: the handle of the object it was made from, functions that the library may call."""
        self._release = functools.partial(free, handle)
        self._as_parameter_ = handle


class Owner:
    """What has a handle: close() and `with` give it up. It is freed when nothing, such as an answer, uses it any more."""

    _owned: Handle | None = None

    @property
    def _handle(self) -> Handle:
        if self._owned is None:
            raise MisuseError(f"this {type(self).__name__} is closed")
        return self._owned

    @property
    def closed(self) -> bool:
        """Whether close() was called."""
        return self._owned is None

    def close(self) -> None:
        """Gives the object up; calling it again does nothing."""
        self._owned = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"a {type(self).__name__} cannot be pickled or copied: it lives in this process; open the model where it is "
            "needed (Session.fork copies a session, Session.save writes it to a file)"
        )


def encode(text: str) -> bytes:
    """UTF-8; stray surrogates, which are no text, stay recognizable bytes."""
    return text.encode("utf-8", "surrogatepass")


def take_text(function: Callable[..., int], *arguments: Any) -> str:
    """Calls a function that returns a text through `char **` and its length, and frees the text."""
    text, length = c_void_p(), c_size_t()
    check(function(*arguments, byref(text), byref(length)))
    try:
        return read_text(text.value, length.value)
    finally:
        lib.xverse_free(text)


def read_text(address: int | None, length: int) -> str:
    """A copy of a text of the library's."""
    return ctypes.string_at(address, length).decode(errors="replace") if address else ""


def tokens_array(tokens: Iterable[int]) -> ctypes.Array[c_int32]:
    """Token ids as int32_t[n]: a list, a numpy array, a torch tensor of one dimension.

    Raises:
        TypeError: something else than whole numbers.
        ValueError: an id that no int32_t holds.
    """
    try:
        values = tokens.tolist() if hasattr(tokens, "tolist") else tokens
        ids = [operator.index(token) for token in values]
    except TypeError:
        raise TypeError(f"tokens are {tokens!r:.80}, expected a sequence of token ids") from None
    for token in ids:
        if not -(2**31) <= token < 2**31:
            raise ValueError(f"token id {token} is outside -2^31...2^31-1")
    return (c_int32 * len(ids))(*ids)


def read_array(function: Callable[..., int], *arguments: Any) -> list[int]:
    """Calls a function that fills an int32_t array: once for the number, once for the values."""
    count = c_size_t()
    check(function(*arguments, None, 0, byref(count)))
    values = (c_int32 * count.value)()
    check(function(*arguments, values, len(values), byref(count)))
    return list(values[: count.value])
