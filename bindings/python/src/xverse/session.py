"""Sessions: a sequence of tokens with its keys and values, and what can be done with it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from ctypes import POINTER, byref, c_float, c_int32, c_size_t, c_void_p, cast, string_at
from typing import TYPE_CHECKING, Any, Callable

from . import _ffi
from ._arrays import float_array, float_view
from ._call import Call
from ._handle import Handle, Owner, read_array, read_text, tokens_array
from ._library import lib
from ._progress import progress_callback, progress_pieces, stopped
from .errors import check, last_error
from .options import make_options
from .prompt import Prompt, json_request, make_request
from .result import Result, Stats, new_stats, result_from, stats_from
from .stream import Stream

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

    from ._arrays import FloatArray
    from ._handle import StrPath
    from ._progress import Progress
    from .cancel import Cancel
    from .model import Model
    from .options import SessionOptions
    from .sampling import Sampling, SamplingOptions

__all__ = ["Session"]

POOLINGS = {"last": _ffi.POOL_LAST, "mean": _ffi.POOL_MEAN}


class Session(Owner):
    """What the model has read so far. One thread at a time: another gets BusyError meanwhile.

    A prompt is a text, which the model continues, token ids, or a list of messages, which it answers. What a new prompt
    has in common with what the session holds is not evaluated again, so a growing conversation costs only its new part.

        session = model.session(context=4096)
        messages = [("user", "Hello!")]
        for piece in session.chat(messages, max_new_tokens=100):
            print(piece, end="", flush=True)

    Args:
        context: most tokens; default: the model's n_ctx_train.
        kv_type: f32, f16 or int8: element type of the KV cache.
        overflow: "error": ContextFullError; "shift": the oldest half is dropped when the context is full.

    Raises:
        MisuseError: a model loaded with vocab_only. OutOfMemoryError.
    """

    def __init__(self, model: Model, **options: Unpack[SessionOptions]) -> None:
        handle = model._handle
        chosen = make_options("session", options)
        self.model = model
        self._owned = Handle(lib.xverse_session_create, lib.xverse_session_free, handle, chosen)
        self._owned.keeps = handle

    # ---- generating ----

    def generate(
        self,
        prompt: Prompt,
        on_text: Callable[[str], object] | None = None,
        *,
        sampling: Sampling | None = None,
        cancel: Cancel | None = None,
        **options: Unpack[SamplingOptions],
    ) -> Result:
        """Generates, and returns the whole answer.

        Args:
            on_text: receives the text piece by piece, whole characters only, on this thread; True from it stops the
                answer, an exception stops it and is raised here.
            cancel: ends the answer from elsewhere.
            **options: sampling options, the members of `Sampling`.

        Raises:
            ContextFullError: a prompt that does not fit. InvalidError: an empty prompt, a conversation that cannot be
            answered, an option. RangeError: a token beyond the vocabulary, an option. UnsupportedError: a conversation,
            and the model has no end-of-sequence token. BusyError. CancelledError, DeadlineError, FailError,
            OutOfMemoryError: the session holds what was evaluated. KeyboardInterrupt: so too.
        """
        call = self._generating(prompt, sampling, options, cancel, tells=on_text is not None, waits=True)
        return call.wait(on_text)

    def stream(
        self,
        prompt: Prompt,
        *,
        sampling: Sampling | None = None,
        cancel: Cancel | None = None,
        **options: Unpack[SamplingOptions],
    ) -> Stream:
        """Generates, and returns an iterator of the answer's pieces; leaving the loop stops the answer.

        Raises:
            As `generate`: for the prompt and the options here, for the rest in the loop.
        """
        return Stream(self._generating(prompt, sampling, options, cancel, tells=True, waits=False))

    def chat(
        self,
        messages: Prompt,
        *,
        sampling: Sampling | None = None,
        cancel: Cancel | None = None,
        **options: Unpack[SamplingOptions],
    ) -> Stream:
        """`stream` by the name that a conversation has."""
        return self.stream(messages, sampling=sampling, cancel=cancel, **options)

    def _generating(
        self,
        prompt: Prompt,
        sampling: Sampling | None,
        options: Mapping[str, Any],
        cancel: Cancel | None,
        tells: bool,
        waits: bool,
    ) -> Call[Result]:
        handle = self._handle
        request = make_request(handle.keeps, prompt, sampling, options)

        def work(call: Call[Result]) -> Result:
            def receive(_: object, event: Any) -> int:
                piece = read_text(event.contents.text, event.contents.text_len)
                return 1 if piece and call.tell(piece, waits) else 0

            callback = _ffi.xverse_stream_fn(receive) if tells else _ffi.xverse_stream_fn()
            out = c_void_p()
            try:
                generate = lib.xverse_session_generate
                check(generate(handle, request, call.cancel_handle, callback, None, byref(out)))
                return result_from(out)
            finally:
                lib.xverse_result_free(out)

        return Call(work, cancel)

    # ---- OpenAI's interface ----

    def generate_json(
        self, request: Mapping[str, Any] | str | bytes, *, cancel: Cancel | None = None
    ) -> dict[str, Any]:
        """The response to a request of OpenAI's interface: chat completions with "messages", completions with "prompt".

        Raises:
            ParseError: text that is no JSON. InvalidError, RangeError, UnsupportedError, LimitError: the request.
            ContextFullError and others as `generate`. Their `response` is OpenAI's error object.
        """
        return self._answering(json_request(request, stream=False), cancel).wait()

    def stream_json(
        self, request: Mapping[str, Any] | str | bytes, *, cancel: Cancel | None = None
    ) -> Iterator[dict[str, Any]]:
        """An iterator of the response's chunks; leaving the loop stops the answer.

        Raises:
            As `generate_json`, in the loop.
        """
        pieces = self._answering(json_request(request, stream=True), cancel).pieces(rests=True)
        return (json.loads(chunk) for chunk in pieces)

    def _answering(self, text: bytes, cancel: Cancel | None) -> Call[dict[str, Any]]:
        handle = self._handle

        def work(call: Call[dict[str, Any]]) -> dict[str, Any]:
            def receive(_: object, event: Any) -> int:
                told = event.contents
                is_chunk = told.kind == _ffi.EVENT_JSON
                return 1 if is_chunk and call.tell(read_text(told.text, told.text_len), wait=False) else 0

            out, length = c_void_p(), c_size_t()
            status = lib.xverse_session_generate_json(
                handle, text, len(text), call.cancel_handle, _ffi.xverse_stream_fn(receive), None, byref(out),
                byref(length),
            )  # fmt: skip
            try:
                response: dict[str, Any] = json.loads(read_text(out.value, length.value) or "{}")
            finally:
                lib.xverse_free(out)
            if status < 0:
                raise last_error(status, response or None)
            return response

        return Call(work, cancel)

    # ---- evaluation ----

    def eval(self, tokens: Iterable[int], *, progress: Progress | None = None, cancel: Cancel | None = None) -> None:
        """Appends tokens, leaving the logits after the last of them.

        Args:
            tokens: a prompt, or the token that was just chosen.
            progress: called with ("prefill", tokens done, tokens in all); True stops.

        Raises:
            RangeError (an id outside the vocabulary), ContextFullError: nothing is appended. OutOfMemoryError.
            CancelledError, DeadlineError: the session holds the tokens evaluated until then.
        """
        handle, ids = self._handle, tokens_array(tokens)

        def work(call: Call[None]) -> None:
            callback = progress_callback(call, progress)
            status = lib.xverse_session_eval(handle, ids, len(ids), call.cancel_handle, callback, None)
            stopped(status, "the evaluation")

        Call(work, cancel).wait(progress_pieces(progress))

    @staticmethod
    def eval_batch(
        sessions: Sequence[Session], tokens: Sequence[Iterable[int]], *, cancel: Cancel | None = None
    ) -> None:
        """Appends to each session its tokens, with the same bits as `eval` for one after the other, in shared passes.

        Raises:
            ValueError: as many lists of tokens as sessions are needed. InvalidError: the same session twice.
            MismatchError: sessions of different models, runtimes or kv_types. BusyError, RangeError, ContextFullError,
            OutOfMemoryError. CancelledError, DeadlineError: each holds what was evaluated until then.
        """
        if len(sessions) != len(tokens):
            raise ValueError(f"{len(sessions)} sessions and {len(tokens)} lists of tokens, expected as many of both")
        handles = [session._handle for session in sessions]
        arrays = [tokens_array(ids) for ids in tokens]
        count = len(handles)
        pointers = (c_void_p * count)(*[handle._as_parameter_ for handle in handles])
        ids = (POINTER(c_int32) * count)(*[cast(array, POINTER(c_int32)) for array in arrays])
        lengths = (c_size_t * count)(*map(len, arrays))

        def work(call: Call[None]) -> None:
            check(lib.xverse_session_eval_batch(pointers, ids, lengths, count, call.cancel_handle))

        Call(work, cancel).wait()
        del handles, arrays  # until here

    def logits(self) -> FloatArray:
        """The logits after the last token, float32 [n_vocab], not copied and read-only: a numpy array where numpy is
        installed, else a memoryview. They change with the session; copy them to keep them.

        Raises:
            MisuseError: nothing was evaluated yet.
        """
        found, count = POINTER(c_float)(), c_size_t()
        handle = self._handle
        check(lib.xverse_session_logits(handle, byref(found), byref(count)))
        return float_view(cast(found, c_void_p).value or 0, count.value, handle)

    def top_logprobs(self, k: int) -> list[tuple[int, float]]:
        """The k most probable next tokens and their natural log-probabilities, most probable first.

        Raises:
            MisuseError: nothing was evaluated yet. RangeError: k below 0.
        """
        handle = self._handle
        room = min(max(k, 0), self.model.info.n_vocab)
        tokens, logprobs, count = (c_int32 * room)(), (c_float * room)(), c_size_t()
        check(lib.xverse_session_top_logprobs(handle, min(k, room), tokens, logprobs, byref(count)))
        return list(zip(tokens[: count.value], logprobs[: count.value]))

    def score(self, tokens: Iterable[int], *, cancel: Cancel | None = None) -> list[float]:
        """Appends tokens and returns their natural log-probabilities, each given all before it; 0 for the first token of
        an empty session.

        Raises:
            As `eval`.
        """
        handle, ids = self._handle, tokens_array(tokens)
        logprobs = (c_float * len(ids))()

        def work(call: Call[None]) -> None:
            check(lib.xverse_session_score(handle, ids, len(ids), call.cancel_handle, logprobs, None))

        Call(work, cancel).wait()
        return list(logprobs)

    def embed(
        self,
        tokens: Iterable[int],
        *,
        pooling: str = "mean",
        normalize: bool = False,
        cancel: Cancel | None = None,
    ) -> FloatArray:
        """Appends tokens and pools their final hidden states, behind the final norm, to one vector, float32 [n_embd].

        For a text of its own begin with an empty session (`truncate(0)`).

        Args:
            pooling: "mean", or "last": the state of the last token.
            normalize: scaled to length 1.

        Raises:
            ValueError: another pooling. RangeError: no tokens. Others as `eval`.
        """
        if pooling not in POOLINGS:
            raise ValueError(f"pooling is {pooling!r}, expected one of {', '.join(POOLINGS)}")
        handle, ids = self._handle, tokens_array(tokens)
        flags = POOLINGS[pooling] | (_ffi.POOL_NORMALIZE if normalize else 0)
        vector, count = (c_float * self.model.info.n_embd)(), c_size_t()

        def work(call: Call[None]) -> None:
            embed = lib.xverse_session_embed
            check(embed(handle, ids, len(ids), flags, call.cancel_handle, vector, len(vector), byref(count)))

        Call(work, cancel).wait()
        return float_array(vector)

    # ---- the sequence ----

    def __len__(self) -> int:
        """Tokens in the session; any thread may ask."""
        length: int = lib.xverse_session_length(self._handle)
        return length

    def __bool__(self) -> bool:
        """True, also when it is empty."""
        return True

    @property
    def tokens(self) -> list[int]:
        """The tokens in the session."""
        return read_array(lib.xverse_session_tokens, self._handle)

    @property
    def stats(self) -> Stats:
        """Figures of the last evaluation or generation."""
        found = new_stats()
        check(lib.xverse_session_stats(self._handle, byref(found)))
        return stats_from(found)

    def truncate(self, n_tokens: int) -> None:
        """Forgets all but the first n_tokens; there are no logits until the next evaluation.

        Raises:
            RangeError: there are fewer.
        """
        check(lib.xverse_session_truncate(self._handle, n_tokens))

    def fork(self) -> Self:
        """An independent session with the same tokens, logits, options and note, without a draft model. The keys and
        values in common take no extra memory."""
        copy = type(self).__new__(type(self))
        handle = self._handle
        copy.model = self.model
        copy._owned = Handle(lib.xverse_session_fork, lib.xverse_session_free, handle)
        copy._owned.keeps = handle.keeps
        return copy

    def save(self, path: StrPath) -> None:
        """Writes the session with its note to a file; whatever ends the process, the file is the old one or the new one.

        Raises:
            UnsupportedError: something else than a file is there. BusyError, NotFoundError (the directory), FileError.
        """
        check(lib.xverse_session_save(self._handle, os.fsencode(path)))

    def restore(self, path: StrPath) -> None:
        """Makes the session the saved one, its options staying as they are; it goes on with the same bits.

        Raises:
            CorruptError: damaged, or no saved session. MismatchError: of another model or kv_type. ContextFullError,
            UnsupportedError (of a newer version), NotFoundError, FileError, OutOfMemoryError.
        """
        check(lib.xverse_session_restore(self._handle, os.fsencode(path)))

    @property
    def note(self) -> bytes:
        """Bytes of the program's own that go with the session through save, restore and fork, such as its messages; b""
        for none. At most 64 MiB: else LimitError, and the note stays."""
        found, length = c_void_p(), c_size_t()
        check(lib.xverse_session_note(self._handle, byref(found), byref(length)))
        return string_at(found.value, length.value) if found.value else b""

    @note.setter
    def note(self, note: bytes) -> None:
        data = bytes(note)
        check(lib.xverse_session_set_note(self._handle, data, len(data)))

    def set_draft(self, draft: Model | None, **options: Unpack[SessionOptions]) -> None:
        """Sets a smaller model that guesses tokens, which this one then evaluates together: faster, the same answers.

        Args:
            draft: on the same runtime; None: none from now on.
            **options: context and kv_type of the draft's cache.

        Raises:
            MismatchError: a draft with other tokens, or of another runtime. MisuseError: loaded with vocab_only.
            OutOfMemoryError. The draft set before stays.
        """
        handle = None if draft is None else draft._handle
        check(lib.xverse_session_set_draft(self._handle, handle, make_options("session", options)))
