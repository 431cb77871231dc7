"""Models: loading, what they are, converting them; one answer in one call."""

from __future__ import annotations

import ctypes
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from ctypes import byref, c_double
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, Protocol

from . import _ffi
from ._call import Call
from ._handle import Handle, Owner, encode, take_text
from ._library import lib
from ._progress import progress_callback, progress_pieces, stopped
from .aio import AsyncAnswer, AsyncScheduler, AsyncSchedulers
from .errors import CancelledError, check
from .options import RUNTIME_KEYS, make_options
from .prompt import Prompt, make_request, request_tokens
from .runtime import Runtime, default_runtime
from .scheduler import Scheduler, generate_many
from .session import Session, Stream
from .tokenizer import Tokenizer

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._handle import StrPath
    from ._progress import Progress
    from .cancel import Cancel
    from .options import (
        ConvertOptions,
        ModelOptions,
        OpenOptions,
        SchedulerOptions,
        ScoreOptions,
        SessionOptions,
    )
    from .result import Result
    from .sampling import Sampling, SamplingOptions

__all__ = ["MemoryEstimate", "Model", "ModelInfo", "Perplexity", "Source", "convert", "estimate", "inspect"]


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


class Perplexity(NamedTuple):
    """exp of the mean negative log-likelihood of a text, and its standard error."""

    value: float
    standard_error: float


class Source(Protocol):
    """The files of a model behind methods of yours; they run on the thread that loads, during loading only.

    They are asked for the files of a Hugging Face directory by their names, or for "model.gguf" when there is no
    "config.json".
    """

    def length(self, name: str) -> int | None:
        """Bytes of the file; None when there is no such file."""

    def read_at(self, name: str, offset: int, size: int) -> bytes | memoryview:
        """At most `size` bytes from `offset` on, at least 1; none at the end of the file."""


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
                functions = _SourceFunctions(origin)
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


def _member(info: _ffi.xverse_model_info, name: str) -> Any:
    value = getattr(info, name)
    return value.decode(errors="replace") if isinstance(value, bytes) else value


# ---- sources ----


class _SourceFunctions:
    """The functions that the library calls for the files of a model, and the first exception from them."""

    def __init__(self, source: Source | Mapping[str, bytes]) -> None:
        self.error: BaseException | None = None
        self._source: Any = _MappedFiles(source) if isinstance(source, Mapping) else source
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


class _MappedFiles:
    def __init__(self, files: Mapping[str, bytes | memoryview]) -> None:
        self._files = files

    def length(self, name: str) -> int | None:
        return len(self._files[name]) if name in self._files else None

    def read_at(self, name: str, offset: int, size: int) -> memoryview:
        return memoryview(self._files[name])[offset : offset + size]
