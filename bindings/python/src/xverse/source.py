"""The files of a model from memory, an archive, an encrypted store."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from typing import Any, Protocol

from . import _ffi

__all__ = ["Source"]


class Source(Protocol):
    """The files of a model behind methods of yours; they run on the thread that loads, during loading only.

    They are asked for the files of a Hugging Face directory by their names, or for "model.gguf" when there is no
    "config.json".
    """

    def length(self, name: str) -> int | None:
        """Bytes of the file; None when there is no such file."""

    def read_at(self, name: str, offset: int, size: int) -> bytes | memoryview:
        """At most `size` bytes from `offset` on, at least 1; none at the end of the file."""


class SourceFunctions:
    """The functions that the library calls for the files of a model, and the first exception from them."""

    def __init__(self, source: Source | Mapping[str, bytes]) -> None:
        self.error: BaseException | None = None
        self._source: Any = MappedFiles(source) if isinstance(source, Mapping) else source
        kinds: dict[str, Any] = {field[0]: field[1] for field in _ffi.xverse_source._fields_}
        self.struct = _ffi.xverse_source(
            size=ctypes.sizeof(_ffi.xverse_source),
            length=kinds["length"](self._length),
            read_at=kinds["read_at"](self._read_at),
        )

    def _length(self, _: object, name: bytes) -> int:
        try:
            length = self._source.length(name.decode(errors="replace"))
        except BaseException as error:  # noqa: BLE001 -- raised again by the caller
            self.error = self.error or error
            return -1
        return -1 if length is None else int(length)

    def _read_at(self, _: object, name: bytes, offset: int, buffer: int, size: int) -> int:
        try:
            data = memoryview(self._source.read_at(name.decode(errors="replace"), offset, size)).cast("B")
            ctypes.memmove(buffer, data.tobytes(), min(len(data), size))
        except BaseException as error:  # noqa: BLE001 -- raised again by the caller
            self.error = self.error or error
            return -1
        return len(data)  # more than `size` is an error of the library


class MappedFiles:
    def __init__(self, files: Mapping[str, bytes | memoryview]) -> None:
        self._files = files

    def length(self, name: str) -> int | None:
        return len(self._files[name]) if name in self._files else None

    def read_at(self, name: str, offset: int, size: int) -> memoryview:
        return memoryview(self._files[name])[offset : offset + size]
