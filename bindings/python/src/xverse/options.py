"""Options: keyword arguments on the Python side, one object of keys and values in the library.

The keyword arguments of every function here have the names and values of xverse.h, section 2. A key that does not exist
is an InvalidError with the nearest key, a value out of bounds a RangeError with the bounds.
"""

from __future__ import annotations

import ctypes
import json
import math
import operator
import os
from collections.abc import Mapping
from ctypes import byref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict

from . import _ffi
from ._handle import Handle
from ._library import lib
from .errors import RangeError, check

if TYPE_CHECKING:
    from ._handle import StrPath

__all__ = ["OptionInfo", "describe_options"]

KINDS = {
    "runtime": _ffi.OPTIONS_RUNTIME,
    "model": _ffi.OPTIONS_MODEL,
    "session": _ffi.OPTIONS_SESSION,
    "sampling": _ffi.OPTIONS_SAMPLING,
    "scheduler": _ffi.OPTIONS_SCHEDULER,
    "convert": _ffi.OPTIONS_CONVERT,
    "score": _ffi.OPTIONS_SCORE,
}
_TYPES = {
    _ffi.OPTION_INT: "int",
    _ffi.OPTION_FLOAT: "float",
    _ffi.OPTION_STRING: "str",
    _ffi.OPTION_JSON: "json",
}


class RuntimeOptions(TypedDict, total=False):
    """threads: compute threads. threading: auto, openmp or pthread. memory_limit: bytes, 0 for none. isa: which kernels."""

    threads: int
    threading: str
    memory_limit: int
    isa: str


class ModelOptions(TypedDict, total=False):
    """How a model is loaded; see MODEL in xverse.h."""

    quantize: str
    calibration: StrPath
    load: str
    verify: str
    tokenizer: StrPath
    vocab_only: bool
    rope_theta: float
    rope_scaling: str
    prefix_cache: int


class SessionOptions(TypedDict, total=False):
    """context: most tokens. kv_type: f32, f16 or int8. overflow: error or shift."""

    context: int
    kv_type: str
    overflow: str


class SchedulerOptions(TypedDict, total=False):
    """How many answers run and wait; see SCHEDULER in xverse.h."""

    max_num_seqs: int
    max_num_batched_tokens: int
    max_queued_requests: int
    context: int
    kv_type: str


class ConvertOptions(TypedDict, total=False):
    """What is written; see CONVERT in xverse.h."""

    quantize: str
    calibration: StrPath
    tokenizer: StrPath
    max_shard_size: int
    format: str
    type: str


class ScoreOptions(TypedDict, total=False):
    """context: tokens in a window. bos: whether each begins with BOS. windows: most windows, 0 for all."""

    context: int
    bos: bool
    windows: int


class OpenOptions(RuntimeOptions, ModelOptions, total=False):
    """Options of a model and of the runtime that it computes on."""


RUNTIME_KEYS = frozenset(RuntimeOptions.__annotations__)


def make_options(kind: str, values: Mapping[str, Any]) -> Handle:
    """An options object of the library; None among the values means the default.

    Raises:
        InvalidError: an unknown key, or a value of the wrong type.
        RangeError: a value out of bounds, or not one of the choices.
    """
    options = Handle(lib.xverse_options_create, lib.xverse_options_free, KINDS[kind])
    for key, value in values.items():
        if value is not None:
            _set(options, key.encode(), value)
    return options


def _set(options: Handle, key: bytes, value: Any) -> None:
    if isinstance(value, (str, bytes, os.PathLike)):
        text = os.fsencode(value)  # a path may have bytes that are not UTF-8
        check(lib.xverse_options_set_string(options, key, text, len(text)))
        return
    if isinstance(value, Mapping):
        # Minus infinity forbids a token: as far below as the library takes it, since JSON has no infinity.
        value = {str(name): -(2.0**61) if part == -math.inf else part for name, part in value.items()}
    if isinstance(value, (list, tuple, dict)):
        text = json.dumps(value).encode()
        check(lib.xverse_options_set_string(options, key, text, len(text)))
        return
    try:
        number = operator.index(value)
    except TypeError:
        check(lib.xverse_options_set_float(options, key, float(value)))
        return
    if not -(2**63) <= number < 2**63:
        raise RangeError(f"option {key.decode()} is {number}, expected a number of 64 bits")
    check(lib.xverse_options_set_int(options, key, number))


@dataclass(frozen=True)
class OptionInfo:
    """What an option is.

    Attributes:
        key: its name.
        type: "int", "float", "str" or "json".
        doc: one sentence.
        choices: what a string must be (or, ending in ":", begin with); empty when anything will do.
        min, max: bounds of a number, inclusive.
        default: None when it comes from the model or the machine.
        unit: what a number counts, such as "tokens"; "" for nothing.
    """

    key: str
    type: str
    doc: str
    choices: tuple[str, ...]
    min: float
    max: float
    default: float | str | None
    unit: str


def describe_options(kind: str) -> list[OptionInfo]:
    """All options of a kind: "runtime", "model", "session", "sampling", "scheduler", "convert" or "score".

    Raises:
        ValueError: there is no such kind.
    """
    if kind not in KINDS:
        raise ValueError(f"kind is {kind!r}, expected one of {', '.join(KINDS)}")
    found: list[OptionInfo] = []
    info = _ffi.xverse_option_info(size=ctypes.sizeof(_ffi.xverse_option_info))
    while True:
        try:
            check(lib.xverse_options_describe(KINDS[kind], len(found), byref(info)))
        except RangeError:
            return found
        number = getattr(info, "def")
        found.append(
            OptionInfo(
                key=_text(info.key),
                type=_TYPES.get(info.type, "unknown"),
                doc=_text(info.doc),
                choices=tuple(_text(info.choices).split("|")) if info.choices else (),
                min=info.min,
                max=info.max,
                default=_text(info.def_choice) if info.def_choice else None if math.isnan(number) else number,
                unit=_text(info.unit),
            )
        )


def _text(value: bytes | None) -> str:
    return value.decode() if value else ""
