"""Numbers of the library as arrays: numpy's where it is installed, else memoryviews."""

from __future__ import annotations

import ctypes
from ctypes import c_float
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import numpy
    from typing_extensions import TypeAlias

    FloatArray: TypeAlias = "numpy.ndarray[Any, numpy.dtype[numpy.float32]] | memoryview[float]"


def float_view(address: int, count: int, owner: object) -> FloatArray:
    """float32 [count] at an address, not copied and read-only; `owner` lives as long as the view."""
    array = (c_float * count).from_address(address)
    array.owner = owner  # type: ignore[attr-defined]
    return _wrap(memoryview(array).toreadonly())


def float_array(values: ctypes.Array[c_float]) -> FloatArray:
    """float32 [count] with the memory of a ctypes array; can be written."""
    return _wrap(memoryview(values))


def _wrap(view: memoryview[Any]) -> FloatArray:
    # ctypes says "<f", which memoryview itself cannot index.
    floats = view.cast("B").cast("f")
    try:
        import numpy
    except ImportError:
        return floats
    array: FloatArray = numpy.frombuffer(cast("Any", floats), dtype=numpy.float32)
    return array


def float_pointer(values: Any) -> tuple[Any, int]:
    """Float32 numbers as a pointer and their count: copied, unless a numpy array already has them as the library wants.

    Raises:
        TypeError: something else than numbers.
    """
    interface = getattr(values, "__array_interface__", None)
    if interface and interface["typestr"] == "<f4" and len(interface["shape"]) == 1 and interface["strides"] is None:
        array = (c_float * len(values)).from_address(interface["data"][0])
        array.owner = values  # type: ignore[attr-defined]
        return array, len(values)
    if isinstance(values, memoryview) and values.format == "f" and values.c_contiguous:
        return (c_float * len(values)).from_buffer_copy(values), len(values)
    try:
        numbers = [float(value) for value in values]
    except TypeError:
        raise TypeError(f"logits are {values!r:.80}, expected float32 numbers of one dimension") from None
    return (c_float * len(numbers))(*numbers), len(numbers)
