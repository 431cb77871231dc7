"""What was generated, and the figures of it."""

from __future__ import annotations

import ctypes
from ctypes import POINTER, byref, c_float, c_int32, c_size_t, c_void_p
from dataclasses import dataclass, fields
from typing import Any

from . import _ffi
from ._handle import read_text
from ._library import lib
from .errors import check

__all__ = ["Result", "Stats"]

FINISH_REASONS = {
    _ffi.FINISH_NONE: "none",
    _ffi.FINISH_EOS: "eos",
    _ffi.FINISH_STOP: "stop",
    _ffi.FINISH_LENGTH: "length",
    _ffi.FINISH_CALLBACK: "callback",
    _ffi.FINISH_CANCELLED: "cancelled",
    _ffi.FINISH_DEADLINE: "deadline",
    _ffi.FINISH_ERROR: "error",
}


@dataclass(frozen=True)
class Stats:
    """Figures of an evaluation or generation; times in nanoseconds, memory in bytes.

    Attributes:
        n_prompt: tokens of the prompt, or those that were appended.
        n_cached: of these, already in the session or known from another one.
        n_generated: tokens generated.
        n_draft: tokens guessed and evaluated; n_draft_accepted: of these, those that were then chosen.
        ns_queue: waiting for the compute thread, or in a scheduler until the answer first ran.
        ns_prefill: evaluating the prompt.
        ns_decode: everything after the first token was chosen.
        ns_first_token: from the call to the first token.
        kv_bytes: of the session's KV cache, or in a scheduler of all KV blocks.
        scratch_bytes: of the runtime's work memory.
    """

    n_prompt: int
    n_cached: int
    n_generated: int
    n_draft: int
    n_draft_accepted: int
    ns_queue: int
    ns_prefill: int
    ns_decode: int
    ns_first_token: int
    kv_bytes: int
    scratch_bytes: int


_STATS = tuple(field.name for field in fields(Stats))


def stats_from(found: Any) -> Stats:
    """A copy of the library's struct."""
    return Stats(*[getattr(found, name) for name in _STATS])


def new_stats() -> _ffi.xverse_stats:
    return _ffi.xverse_stats(size=ctypes.sizeof(_ffi.xverse_stats))


@dataclass(frozen=True)
class Result:
    """A finished answer.

    Attributes:
        text: without stop string and special tokens; what continues a raw prompt, a leading space included.
        tokens: the generated ids, an ending EOS included.
        logprobs: natural log-probabilities of the tokens; None without option logprobs.
        finish_reason: "eos", "stop", "length", "callback" (on_text returned True), "cancelled" or "deadline".
        stats: figures.
    """

    text: str
    tokens: list[int]
    logprobs: list[float] | None
    finish_reason: str
    stats: Stats

    def __str__(self) -> str:
        return self.text


def result_from(handle: c_void_p) -> Result:
    """A copy of the library's result."""
    text, length, count = c_void_p(), c_size_t(), c_size_t()
    check(lib.xverse_result_text(handle, byref(text), byref(length)))
    tokens, logprobs = POINTER(c_int32)(), POINTER(c_float)()
    check(lib.xverse_result_tokens(handle, byref(tokens), byref(logprobs), byref(count)))
    stats = new_stats()
    check(lib.xverse_result_stats(handle, byref(stats)))
    return Result(
        text=read_text(text.value, length.value),
        tokens=tokens[: count.value],
        logprobs=logprobs[: count.value] if logprobs else None,
        finish_reason=FINISH_REASONS.get(stats.finish_reason, "unknown"),
        stats=stats_from(stats),
    )
