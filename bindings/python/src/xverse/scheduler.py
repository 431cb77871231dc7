"""Schedulers: many answers at a time, for threads and for select."""

from __future__ import annotations

import collections
import json
import os
import select
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from ctypes import POINTER, byref, c_size_t, c_uint64, c_void_p
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import _ffi
from ._handle import Handle, Owner, read_text, take_text
from ._library import lib
from .errors import MisuseError, QueueFullError, XverseError, check, error, last_error
from .options import make_options
from .prompt import Prompt, make_request
from .result import FINISH_REASONS, Result, Stats, stats_from
from .sampling import Sampling

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .model import Model
    from .options import SchedulerOptions, SessionOptions
    from .sampling import SamplingOptions

__all__ = ["Event", "Scheduler"]

_KINDS = {_ffi.EVENT_TOKENS: "tokens", _ffi.EVENT_FINISHED: "finished", _ffi.EVENT_JSON: "json"}


@dataclass(frozen=True)
class Event:
    """What happened to an answer.

    Attributes:
        request_id: its number.
        kind: "tokens", "json" (chunks of a stream of OpenAI's interface) or "finished", the last of an answer.
        text: what became certain since the answer's last event, whole characters; of "json" one chunk a line.
        tokens: the generated ids since then. logprobs: theirs; None without option logprobs.
        finish_reason: of "finished", as `Result.finish_reason`, or "error"; else None.
        stats: of "finished"; else None.
        error: of an answer that failed; else None.
    """

    request_id: int
    kind: str
    text: str
    tokens: list[int]
    logprobs: list[float] | None
    finish_reason: str | None
    stats: Stats | None
    error: XverseError | None


class Scheduler(Owner):
    """Answers many requests of one model at a time; each has the same tokens as from `Session.generate`.

    Any thread may call any method at any time. `fileno` makes it fit for select, poll and event loops; asyncio has
    `AsyncScheduler`.

        scheduler = model.scheduler(max_num_seqs=16)
        number = scheduler.submit("Once upon a time", max_new_tokens=60)
        while (event := scheduler.next()).kind != "finished":
            print(event.text, end="")

    Args:
        max_num_seqs: most answers that run together.
        max_num_batched_tokens: most tokens of prompts in one pass.
        max_queued_requests: most answers beyond max_num_seqs that wait or whose end was not read.
        context: most tokens of a prompt with its answer. kv_type: f32, f16 or int8.

    Raises:
        MisuseError: a model loaded with vocab_only. FileError: no file descriptor. OutOfMemoryError.
    """

    def __init__(self, model: Model, **options: Unpack[SchedulerOptions]) -> None:
        handle = model._handle
        chosen = make_options("scheduler", options)
        self._owned = Handle(lib.xverse_scheduler_create, lib.xverse_scheduler_free, handle, chosen)
        self._owned.keeps = handle
        self._wake_lock = threading.Lock()
        self._wake: tuple[int, int] | None = None

    def fileno(self) -> int:
        """A descriptor that is readable while there are events; when it is, call `next(0)` until it returns None."""
        descriptor: int = lib.xverse_scheduler_fd(self._handle)
        return descriptor

    def submit(self, prompt: Prompt, *, sampling: Sampling | None = None, **options: Unpack[SamplingOptions]) -> int:
        """Queues an answer and returns its number; with option n, that of the first, the others having those after it.

        Raises:
            QueueFullError: too many answers that are unfinished or whose end was not read. ContextFullError: a prompt
            longer than option context. InvalidError, RangeError, UnsupportedError, CorruptError, OutOfMemoryError.
        """
        handle = self._handle
        request = make_request(handle.keeps, prompt, sampling, options)
        number = c_uint64()
        check(lib.xverse_scheduler_submit(handle, request, byref(number)))
        return number.value

    def submit_json(self, request: Mapping[str, Any] | str | bytes) -> int:
        """Queues a request of OpenAI's interface; with "stream": true there are events of kind "json". The "finished" event
        has the last chunks as its text, without "stream" the response.

        Raises:
            ParseError, InvalidError, RangeError, UnsupportedError, LimitError: the request; others as `submit`. Their
            `response` is OpenAI's error object.
        """
        if isinstance(request, str):
            text = request.encode("utf-8", "surrogatepass")
        else:
            text = request if isinstance(request, bytes) else json.dumps(request).encode()
        number, problem, length = c_uint64(), c_void_p(), c_size_t()
        submit = lib.xverse_scheduler_submit_json
        status = submit(self._handle, text, len(text), byref(number), byref(problem), byref(length))
        try:
            if status < 0:
                raise last_error(status, json.loads(read_text(problem.value, length.value) or "null"))
        finally:
            lib.xverse_free(problem)
        return number.value

    def set_draft(self, draft: Model | None, **options: Unpack[SessionOptions]) -> None:
        """Sets a smaller model that guesses for the answers that begin to run from now on; they stay the same.

        Args:
            draft: on the same runtime; None: none from now on.
            **options: context and kv_type of the draft's caches.

        Raises:
            As `Session.set_draft`. The draft set before stays.
        """
        handle = None if draft is None else draft._handle
        check(lib.xverse_scheduler_set_draft(self._handle, handle, make_options("session", options)))

    def cancel(self, number: int) -> None:
        """Ends an answer soon; it finishes with the reason "cancelled", unless it ended by itself first.

        Raises:
            InvalidError: a number that no answer has had.
        """
        check(lib.xverse_scheduler_cancel(self._handle, number))

    def next(self, timeout: float | None = None) -> Event | None:
        """The next event; each is returned once, to one thread, those of one answer in order.

        Args:
            timeout: most seconds to wait; None: no limit. Ctrl-C ends the wait.

        Returns:
            None when nothing happened in time.

        Raises:
            MisuseError: the scheduler was closed meanwhile. OutOfMemoryError: the event stays.
        """
        handle = self._handle
        deadline = None if timeout is None else time.monotonic() + timeout
        while (event := _next(handle)) is None:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                return None
            # Waiting here and not in the library lets Python notice signals.
            poll = select.poll()
            poll.register(self.fileno(), select.POLLIN)
            poll.register(self._wake_descriptor(), select.POLLIN)
            poll.poll(None if left is None else max(1, round(left * 1000)))
            _ = self._handle  # an error when it was closed
        return event

    def events(self, timeout: float = 0) -> Iterator[Event]:
        """The events until none came for `timeout` seconds."""
        while (event := self.next(timeout)) is not None:
            yield event

    @property
    def stats(self) -> dict[str, Any]:
        """Figures since the scheduler was made: answers, tokens, times, memory, as xverse_scheduler_stats describes them."""
        found: dict[str, Any] = json.loads(take_text(lib.xverse_scheduler_stats, self._handle))
        return found

    def close(self) -> None:
        """Ends all answers; there are no more events. Threads inside `next` get MisuseError."""
        super().close()
        with self._wake_lock:
            if self._wake is not None:
                os.write(self._wake[1], b"\0")

    def _wake_descriptor(self) -> int:
        with self._wake_lock:
            if self._wake is None:
                self._wake = os.pipe()
                if self.closed:
                    os.write(self._wake[1], b"\0")
            return self._wake[0]

    def __del__(self) -> None:
        for descriptor in getattr(self, "_wake", None) or ():
            os.close(descriptor)


def _next(handle: Handle) -> Event | None:
    """The next event without waiting."""
    found = POINTER(_ffi.xverse_event)()
    if check(lib.xverse_scheduler_next(handle, 0, byref(found))) == _ffi.TIMEOUT:
        return None
    told = found.contents
    text = read_text(told.text, told.text_len)
    is_last = told.kind == _ffi.EVENT_FINISHED
    problem = None
    if is_last and told.status < 0 and told.status != _ffi.E_CANCELLED:
        response = json.loads(text) if text.startswith('{"error"') else None
        problem = error(told.status, (told.message or b"").decode(errors="replace"), response=response)
    return Event(
        request_id=told.request_id,
        kind=_KINDS.get(told.kind, "unknown"),
        text=text,
        tokens=told.tokens[: told.n_tokens] if told.n_tokens else [],
        logprobs=told.logprobs[: told.n_tokens] if told.logprobs else None,
        finish_reason=FINISH_REASONS.get(told.finish_reason, "unknown") if is_last else None,
        stats=stats_from(told.stats.contents) if is_last and told.stats else None,
        error=problem,
    )


class Collector:
    """Puts the events of one answer together."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._tokens: list[int] = []
        self._logprobs: list[float] | None = None
        self._last: Event | None = None

    @property
    def is_finished(self) -> bool:
        return self._last is not None

    def add(self, event: Event) -> None:
        self._texts.append(event.text)
        self._tokens += event.tokens
        if event.logprobs is not None:
            self._logprobs = (self._logprobs or []) + event.logprobs
        if event.kind == "finished":
            self._last = event

    def result(self) -> Result:
        """The answer, once it has finished; its error is raised."""
        assert self._last is not None
        if self._last.error is not None:
            raise self._last.error
        assert self._last.stats is not None
        return Result(
            text="".join(self._texts),
            tokens=self._tokens,
            logprobs=self._logprobs,
            finish_reason=self._last.finish_reason or "unknown",
            stats=self._last.stats,
        )


def generate_many(
    scheduler: Scheduler, prompts: Iterable[Prompt], sampling: Sampling | None, options: Mapping[str, Any]
) -> Iterator[Result]:
    """Answers in the order of the prompts, n for each, from a scheduler that nobody else uses; closes it at the end."""
    count = options.get("n") or (sampling.n if sampling is not None else None) or 1
    answers: dict[int, Collector] = {}
    order: collections.deque[int] = collections.deque()

    def read() -> None:
        event = scheduler.next()
        assert event is not None
        answers[event.request_id].add(event)

    with scheduler:
        for prompt in prompts:
            while True:
                try:
                    first = scheduler.submit(prompt, sampling=sampling, **options)
                    break
                except QueueFullError:
                    if not any(not answer.is_finished for answer in answers.values()):
                        raise  # more answers to one prompt than ever fit
                    read()
            for number in range(first, first + count):
                answers[number] = Collector()
                order.append(number)
            while order and answers[order[0]].is_finished:
                yield answers.pop(order.popleft()).result()
        while order:
            while not answers[order[0]].is_finished:
                read()
            yield answers.pop(order.popleft()).result()


def closed_error() -> MisuseError:
    return MisuseError("the scheduler was closed before the answer ended")
