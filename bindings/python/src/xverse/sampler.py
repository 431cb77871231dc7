"""Samplers: for programs with a loop of their own."""

from __future__ import annotations

import ctypes
import threading
from ctypes import byref, c_float, c_int32
from typing import TYPE_CHECKING, Any, Callable

from . import _ffi
from ._arrays import float_array, float_pointer
from ._handle import Handle, Owner
from ._library import lib
from .errors import CancelledError, check
from .sampling import Sampling, sampling_options
from .session import Session

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._arrays import FloatArray
    from .model import Model
    from .sampling import SamplingOptions

__all__ = ["Sampler"]


class Sampler(Owner):
    """Random numbers and penalties of one sequence; chooses tokens from logits. One thread at a time.

        sampler = Sampler(model, temperature=0.8, seed=1)
        session.eval(prompt)
        for _ in range(20):
            token = sampler.sample(session)
            sampler.accept(token)
            session.eval([token])

    Raises:
        InvalidError, RangeError: an option. CorruptError: a default of the model's that cannot be used.
    """

    def __init__(self, model: Model, sampling: Sampling | None = None, **options: Unpack[SamplingOptions]) -> None:
        handle = model._handle
        create, free = lib.xverse_sampler_create, lib.xverse_sampler_free
        self._owned = Handle(create, free, handle, sampling_options(sampling, options))
        self._hook: _Hook | None = None

    def sample(self, logits: Session | Any) -> int:
        """Chooses a token; it is not accepted yet.

        Args:
            logits: a session, for those after its last token, or float32 numbers [n_vocab]; they stay as they are. NaN
                counts as -infinity.

        Raises:
            RangeError: another number than n_vocab. FailError: no token is possible. MisuseError: a session without
            logits. CancelledError: the callback returned True; an exception from it is raised here.
        """
        return self.sample_logprob(logits)[0]

    def sample_logprob(self, logits: Session | Any) -> tuple[int, float]:
        """`sample`, and the token's natural log-probability under the unchanged logits."""
        values, count = float_pointer(logits.logits() if isinstance(logits, Session) else logits)
        token, logprob = c_int32(), c_float()
        status = lib.xverse_sampler_sample(self._handle, values, count, byref(token), byref(logprob))
        if self._hook is not None:
            self._hook.raise_error()
        if check(status) == _ffi.STOPPED:
            raise CancelledError("the logits function stopped sampling")
        return token.value, logprob.value

    def accept(self, token: int) -> None:
        """Adds a token to the history that the penalties look at. Those before the first `sample` are the prompt.

        Raises:
            RangeError: an id outside the vocabulary.
        """
        check(lib.xverse_sampler_accept(self._handle, token))

    def clone(self) -> Sampler:
        """A copy with the same history, random numbers and callback."""
        copy = type(self).__new__(type(self))
        copy._owned = Handle(lib.xverse_sampler_clone, lib.xverse_sampler_free, self._handle)
        copy._hook = self._hook
        return copy

    def set_callback(self, function: Callable[[FloatArray], object] | None) -> None:
        """Sets a function that sees, and may change, a copy of the logits, float32 [n_vocab], after bias and penalties and
        before temperature; True from it stops the call. None: no function."""
        hook = None if function is None else _Hook(function)
        callback = _ffi.xverse_logits_fn() if hook is None else hook.callback
        check(lib.xverse_sampler_set_callback(self._handle, callback, None))
        self._hook = hook


class _Hook:
    """A logits function, and the exception from it."""

    def __init__(self, function: Callable[[FloatArray], object | None]) -> None:
        self._function = function
        # A clone may sample with the same function on another thread.
        self._errors = threading.local()
        self.callback = _ffi.xverse_logits_fn(self._call)

    def _call(self, _: object, logits: Any, count: int) -> int:
        try:
            # A copy: what the function keeps of it may outlive the library's memory.
            values = (c_float * count).from_buffer_copy(
                (c_float * count).from_address(ctypes.addressof(logits.contents))
            )
            stop = self._function(float_array(values)) is True
            ctypes.memmove(logits, values, ctypes.sizeof(values))
        except BaseException as error:  # noqa: BLE001 -- raised again by the caller
            self._errors.last = error
            return 1
        return 1 if stop else 0

    def raise_error(self) -> None:
        error: BaseException | None = self._errors.__dict__.pop("last", None)
        if error is not None:
            raise error
