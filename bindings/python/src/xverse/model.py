"""Models: loading, what they are, one answer in one call."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable, Iterator, Mapping
from ctypes import byref, c_double
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Callable, NamedTuple

from . import _ffi
from ._call import Call
from ._handle import Handle, Owner, encode
from ._library import lib
from ._progress import progress_callback, progress_pieces, stopped
from .aio import AsyncAnswer, AsyncScheduler, AsyncSchedulers
from .errors import CancelledError, check
from .options import RUNTIME_KEYS, make_options
from .prompt import Prompt, make_request, request_tokens
from .runtime import Runtime, default_runtime
from .scheduler import Scheduler, generate_many
from .session import Session
from .source import Source, SourceFunctions
from .stream import Stream
from .tokenizer import Tokenizer

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._handle import StrPath
    from ._progress import Progress
    from .cancel import Cancel
    from .options import OpenOptions, SchedulerOptions, ScoreOptions, SessionOptions
    from .result import Result
    from .sampling import Sampling, SamplingOptions

__all__ = ["Model", "ModelInfo", "Perplexity"]


@dataclass(frozen=True)
class ModelInfo:
    """What a loaded model is.

    Attributes:
        n_layers, n_embd (hidden_size), n_ff (intermediate_size), n_heads, n_kv_heads, n_vocab: its shape.
        n_ctx_train: max_position_embeddings, in tokens.
        n_params: number of parameters; weight_bytes: bytes of the tensors as stored, or as quantized.
        n_experts, n_experts_used: always 0: the models are dense.
        arch: "xverse" or "llama".
        quant: type of the matrices: "f32", "f16", "bf16", "int8", "int4", "int4_f16", "mixed"; "none" with vocab_only.
        name: last component of the path.
    """

    n_layers: int
    n_params: int
    weight_bytes: int
    n_embd: int
    n_ff: int
    n_heads: int
    n_kv_heads: int
    n_vocab: int
    n_ctx_train: int
    n_experts: int
    n_experts_used: int
    arch: str
    quant: str
    name: str


class Perplexity(NamedTuple):
    """exp of the mean negative log-likelihood of a text, and its standard error."""

    value: float
    standard_error: float


class Model(Owner):
    """A loaded model: weights, configuration, tokenizer. Immutable; threads may share it.

    Args:
        path: a Hugging Face directory, or a GGUF file.
        runtime: where it computes; default: the runtime of the process, or one of its own if there are options of one.
        progress: called with (phase, done, total) on this thread while loading, in bytes; True from it ends loading with
            CancelledError, an exception is raised here.
        cancel: ends loading.
        **options: threads, threading, memory_limit, isa of a runtime of its own (see `Runtime`); quantize, calibration,
            load, verify, tokenizer, vocab_only, rope_theta, rope_scaling, prefix_cache as in xverse.h, kind MODEL.

    Attributes:
        path: as given; None for a model from a source.
        info: what it is.
        tokenizer: its tokenizer.
        runtime: where it computes.

    Raises:
        NotFoundError, FileError, CorruptError, UnsupportedError, UnsafeError, LimitError: the files, naming file and
        field or tensor. InvalidError, RangeError: an option. OutOfMemoryError, CancelledError, DeadlineError.
    """

    def __init__(
        self,
        path: StrPath,
        *,
        runtime: Runtime | None = None,
        progress: Progress | None = None,
        cancel: Cancel | None = None,
        **options: Unpack[OpenOptions],
    ) -> None:
        self._load(path, os.fsencode(path), runtime, progress, cancel, options)

    @classmethod
    def from_source(
        cls,
        source: Source | Mapping[str, bytes],
        *,
        runtime: Runtime | None = None,
        progress: Progress | None = None,
        cancel: Cancel | None = None,
        **options: Unpack[OpenOptions],
    ) -> Model:
        """Loads a model from memory, an archive, an encrypted store.

        Args:
            source: names and bytes of the files, or an object with the methods of `Source`.

        Raises:
            As `Model`; FileError: read_at failed. An exception from the source is raised here.
        """
        model = cls.__new__(cls)
        model._load(None, source, runtime, progress, cancel, options)
        return model

    def _load(
        self,
        path: StrPath | None,
        origin: bytes | Source | Mapping[str, bytes],
        runtime: Runtime | None,
        progress: Progress | None,
        cancel: Cancel | None,
        options: Mapping[str, Any],
    ) -> None:
        for_runtime = {key: value for key, value in options.items() if key in RUNTIME_KEYS and value is not None}
        if for_runtime and runtime is not None:
            raise ValueError(f"{', '.join(for_runtime)}: options of the runtime, which is given already")
        if runtime is None:
            runtime = Runtime(**for_runtime) if for_runtime else default_runtime()
        chosen = make_options("model", {key: value for key, value in options.items() if key not in RUNTIME_KEYS})
        handle = runtime._handle

        def load(call: Call[Handle]) -> Handle:
            last = (chosen, call.cancel_handle, progress_callback(call, progress), None)
            release = lib.xverse_model_release
            if isinstance(origin, bytes):
                model = Handle(lib.xverse_model_load, release, handle, origin, *last)
            else:
                functions = SourceFunctions(origin)
                try:
                    model = Handle(lib.xverse_model_load_source, release, handle, byref(functions.struct), None, *last)
                except Exception:
                    if functions.error is not None:
                        raise functions.error from None
                    raise
            if not model._as_parameter_:
                raise CancelledError("the progress function stopped loading")
            model.keeps = handle
            return model

        self._owned = Call(load, cancel).wait(progress_pieces(progress))
        self.path = path
        self.runtime = runtime
        self.tokenizer = Tokenizer._of_model(self._owned)
        found = _ffi.xverse_model_info(size=ctypes.sizeof(_ffi.xverse_model_info))
        check(lib.xverse_model_get_info(self._owned, byref(found)))
        self.info = ModelInfo(*[_member(found, field.name) for field in fields(ModelInfo)])
        self._schedulers = AsyncSchedulers(self)

    def close(self) -> None:
        """Gives the model up; it is freed when no session and no answer uses it any more."""
        if not self.closed:
            self._schedulers.close()
        super().close()

    def __repr__(self) -> str:
        return f"<Model {self.info.name}: {self.info.n_params / 1e9:.2f}e9 parameters, {self.info.quant}>"

    # ---- sessions and schedulers ----

    def session(self, **options: Unpack[SessionOptions]) -> Session:
        """A new conversation or text; options context, kv_type, overflow as in xverse.h."""
        return Session(self, **options)

    def scheduler(self, **options: Unpack[SchedulerOptions]) -> Scheduler:
        """Many answers at a time, for threads and for select."""
        return Scheduler(self, **options)

    def async_scheduler(self, **options: Unpack[SchedulerOptions]) -> AsyncScheduler:
        """Many answers at a time, for asyncio."""
        return AsyncScheduler(self, **options)

    # ---- one answer ----

    def generate(
        self,
        prompt: Prompt,
        on_text: Callable[[str], object] | None = None,
        *,
        sampling: Sampling | None = None,
        cancel: Cancel | None = None,
        **options: Unpack[SamplingOptions],
    ) -> Result:
        """Answers in a new session; see `Session.generate`."""
        return self.session().generate(prompt, on_text, sampling=sampling, cancel=cancel, **options)

    def chat(
        self,
        messages: Prompt,
        *,
        sampling: Sampling | None = None,
        cancel: Cancel | None = None,
        **options: Unpack[SamplingOptions],
    ) -> Stream:
        """Streams an answer in a new session; see `Session.chat`."""
        return self.session().chat(messages, sampling=sampling, cancel=cancel, **options)

    async def agenerate(
        self, prompt: Prompt, *, sampling: Sampling | None = None, **options: Unpack[SamplingOptions]
    ) -> Result:
        """Answers together with everything else that this event loop asks of the model; see `AsyncScheduler.generate`."""
        return await self._schedulers.current().generate(prompt, sampling=sampling, **options)

    def achat(
        self, messages: Prompt, *, sampling: Sampling | None = None, **options: Unpack[SamplingOptions]
    ) -> AsyncAnswer:
        """Streams an answer: `async for piece in model.achat(...)`; see `AsyncScheduler.stream`."""
        return self._schedulers.current().stream(messages, sampling=sampling, **options)

    def generate_many(
        self,
        prompts: Iterable[Prompt],
        *,
        sampling: Sampling | None = None,
        scheduler: SchedulerOptions | None = None,
        **options: Unpack[SamplingOptions],
    ) -> Iterator[Result]:
        """Answers many prompts together, and yields the answers in the order of the prompts; closing it ends all.

        Args:
            prompts: taken one by one as there is room for them.
            scheduler: options of the scheduler that answers them, such as max_num_seqs.

        Raises:
            As `Scheduler.submit`; an answer's error when it is its turn.
        """
        return generate_many(Scheduler(self, **(scheduler or {})), prompts, sampling, options)

    # ---- what it makes of a text ----

    def prompt_tokens(
        self, prompt: Prompt, *, sampling: Sampling | None = None, **options: Unpack[SamplingOptions]
    ) -> list[int]:
        """The prompt as token ids, as a session whose context is n_ctx_train evaluates it.

        Raises:
            InvalidError: a conversation that cannot be answered. UnsupportedError: a conversation, and the model has no
            end-of-sequence token. ContextFullError.
        """
        return request_tokens(make_request(self._handle, prompt, sampling, options))

    def perplexity(
        self,
        text: str,
        *,
        progress: Progress | None = None,
        cancel: Cancel | None = None,
        **options: Unpack[ScoreOptions],
    ) -> Perplexity:
        """Perplexity of a text over windows that do not overlap.

        Args:
            progress: called with ("score", tokens done, tokens in all).
            **options: context, bos, windows as in xverse.h, kind SCORE.

        Raises:
            RangeError: fewer than two tokens. UnsupportedError: bos, and there is no BOS token. CancelledError,
            DeadlineError, OutOfMemoryError.
        """
        handle, chosen, data = self._handle, make_options("score", options), encode(text)

        def work(call: Call[Perplexity]) -> Perplexity:
            value, standard_error = c_double(), c_double()
            status = lib.xverse_model_perplexity(
                handle, data, len(data), chosen, call.cancel_handle, progress_callback(call, progress), None,
                byref(value), byref(standard_error),
            )  # fmt: skip
            stopped(status, "scoring")
            return Perplexity(value.value, standard_error.value)

        return Call(work, cancel).wait(progress_pieces(progress))


def _member(info: _ffi.xverse_model_info, name: str) -> Any:
    value = getattr(info, name)
    return value.decode(errors="replace") if isinstance(value, bytes) else value
