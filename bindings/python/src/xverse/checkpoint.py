"""The files of models: what is in them, what memory they need, and converting them."""

from __future__ import annotations

import ctypes
import json
import os
from ctypes import byref
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from . import _ffi
from ._call import Call
from ._handle import take_text
from ._library import lib
from ._progress import progress_callback, progress_pieces, stopped
from .errors import check
from .options import make_options
from .runtime import Runtime, default_runtime

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._handle import StrPath
    from ._progress import Progress
    from .cancel import Cancel
    from .options import ConvertOptions, ModelOptions, SessionOptions

__all__ = ["MemoryEstimate", "convert", "estimate", "inspect"]


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes that a model and one session will take.

    Attributes:
        weights_resident: weights in memory of the process, and the tokenizer.
        weights_mapped: weights used where the files are mapped: page cache, shared between processes.
        load_peak: most memory held while loading; without calibration.
        kv_per_token: keys and values of one token; kv_total: of a full context.
        scratch: work memory of a prefill, shared by all sessions, and the session's logits.
        total: all that stays: resident, mapped, kv_total, scratch.
        host_available: memory that the system could give now; 0: unknown.
    """

    weights_resident: int
    weights_mapped: int
    load_peak: int
    kv_per_token: int
    kv_total: int
    scratch: int
    total: int
    host_available: int


def inspect(path: StrPath, **options: Unpack[ModelOptions]) -> dict[str, Any]:
    """What a model is, from the headers of its files only: format, sizes, dtypes, files, tokenizer, generation defaults.

    Raises:
        As `Model`.
    """
    found: dict[str, Any] = json.loads(
        take_text(lib.xverse_model_inspect, os.fsencode(path), make_options("model", options))
    )
    return found


def estimate(
    path: StrPath, *, session: SessionOptions | None = None, **options: Unpack[ModelOptions]
) -> MemoryEstimate:
    """How much memory the model at path needs with these options, together with one session; accurate to 3 %.

    Raises:
        As `Model`.
    """
    found = _ffi.xverse_memory_estimate(size=ctypes.sizeof(_ffi.xverse_memory_estimate))
    check(
        lib.xverse_model_estimate(
            os.fsencode(path), make_options("model", options), make_options("session", session or {}), byref(found)
        )
    )
    return MemoryEstimate(*[getattr(found, field.name) for field in fields(MemoryEstimate)])


def convert(
    source: StrPath,
    destination: StrPath,
    *,
    runtime: Runtime | None = None,
    progress: Progress | None = None,
    cancel: Cancel | None = None,
    **options: Unpack[ConvertOptions],
) -> None:
    """Writes a model as a Hugging Face directory of its own, or as a GGUF file.

    Args:
        destination: must not exist; it appears when everything is on the disk, or not at all.
        **options: quantize, calibration, tokenizer, max_shard_size, format, type as in xverse.h, kind CONVERT.

    Raises:
        As `Model`; MisuseError: destination exists.
    """
    handle, chosen = (runtime or default_runtime())._handle, make_options("convert", options)
    paths = os.fsencode(source), os.fsencode(destination)

    def work(call: Call[None]) -> None:
        callback = progress_callback(call, progress)
        stopped(lib.xverse_convert(handle, *paths, chosen, call.cancel_handle, callback, None), "converting")

    Call(work, cancel).wait(progress_pieces(progress))
