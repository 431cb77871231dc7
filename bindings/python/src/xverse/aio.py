"""Answers for asyncio: a scheduler whose descriptor the event loop watches."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import functools
import json
import os
import threading
import weakref
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

from ._handle import Owner
from .errors import MisuseError, OutOfMemoryError
from .prompt import Prompt, json_request
from .scheduler import Collector, Event, Scheduler, closed_error

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

    from .model import Model
    from .options import SchedulerOptions, SessionOptions
    from .result import Result, Stats
    from .sampling import Sampling, SamplingOptions

__all__ = ["AsyncAnswer", "AsyncJSONAnswer", "AsyncScheduler"]

# Events that are read before the loop may run something else.
_EVENTS_AT_A_TIME = 256
# Seconds without reading when there is no memory for an event.
_PAUSE = 0.1


class AsyncScheduler(Owner):
    """Answers many requests of one model at a time on one event loop.

        async with model.async_scheduler(max_num_seqs=16) as scheduler:
            async for piece in scheduler.stream([("user", "Hello!")]):
                print(piece, end="")

    Every answer is an iterator of its own: a slow reader delays no other, its text takes memory until it is read. An
    answer whose task is cancelled, that is left, closed or dropped is cancelled at once, and makes room for another.
    All methods are for the thread of the loop; a scheduler goes to another loop only when its own was closed.

    Args:
        **options: as of `Scheduler`.
    """

    def __init__(self, model: Model, **options: Unpack[SchedulerOptions]) -> None:
        self.scheduler = Scheduler(model, **options)
        self._owned = self.scheduler._owned
        self._answers: weakref.WeakValueDictionary[int, _Answer] = weakref.WeakValueDictionary()
        self._watch: _Watch | None = None

    # ---- requests ----

    def submit(
        self, prompt: Prompt, *, sampling: Sampling | None = None, **options: Unpack[SamplingOptions]
    ) -> list[AsyncAnswer]:
        """Queues the answers to a prompt, as many as option n says.

        Raises:
            As `Scheduler.submit`. RuntimeError: no event loop is running.
        """
        self._bind()
        count = options.get("n") or (sampling.n if sampling is not None else None) or 1
        first = self.scheduler.submit(prompt, sampling=sampling, **options)
        answers = [AsyncAnswer(self, number) for number in range(first, first + count)]
        self._answers.update({answer.number: answer for answer in answers})
        return answers

    def stream(
        self, prompt: Prompt, *, sampling: Sampling | None = None, **options: Unpack[SamplingOptions]
    ) -> AsyncAnswer:
        """Queues an answer; `async for` gives its pieces.

        Raises:
            As `Scheduler.submit`; ValueError: n above 1, see `submit`.
        """
        if (options.get("n") or (sampling.n if sampling is not None else None) or 1) != 1:
            raise ValueError("option n is above 1, expected 1: submit() returns several answers")
        return self.submit(prompt, sampling=sampling, **options)[0]

    async def generate(
        self, prompt: Prompt, *, sampling: Sampling | None = None, **options: Unpack[SamplingOptions]
    ) -> Result:
        """The whole answer.

        Raises:
            As `Session.generate`.
        """
        return await self.stream(prompt, sampling=sampling, **options).result()

    def stream_json(self, request: Mapping[str, Any] | str | bytes) -> AsyncJSONAnswer:
        """Queues a request of OpenAI's interface; `async for` gives the chunks of the response as JSON texts.

        Raises:
            As `Scheduler.submit_json`.
        """
        return self.submit_json(json_request(request, stream=True))

    async def generate_json(self, request: Mapping[str, Any] | str | bytes) -> dict[str, Any]:
        """The response to a request of OpenAI's interface.

        Raises:
            As `Scheduler.submit_json`; errors have OpenAI's error object as `response`.
        """
        response = ""
        async for text in self.submit_json(json_request(request, stream=False)):
            response = text
        found: dict[str, Any] = json.loads(response)
        return found

    def submit_json(self, request: Mapping[str, Any] | str | bytes) -> AsyncJSONAnswer:
        """Queues a request of OpenAI's interface as it is: with "stream": true the answer gives the chunks of the response,
        else the response.

        Raises:
            As `Scheduler.submit_json`.
        """
        self._bind()
        answer = AsyncJSONAnswer(self, self.scheduler.submit_json(request))
        self._answers[answer.number] = answer
        return answer

    def set_draft(self, draft: Model | None, **options: Unpack[SessionOptions]) -> None:
        """Sets a smaller model that guesses for all answers; see `Scheduler.set_draft`."""
        self.scheduler.set_draft(draft, **options)

    @property
    def stats(self) -> dict[str, Any]:
        """Figures since the scheduler was made; see `Scheduler.stats`."""
        return self.scheduler.stats

    # ---- the loop ----

    def _bind(self) -> None:
        """Has the running loop watch the descriptor."""
        loop = asyncio.get_running_loop()
        if self._watch is not None:
            if self._watch.loop is loop:
                return
            if not self._watch.loop.is_closed():
                raise MisuseError("this AsyncScheduler belongs to another event loop, which is not closed")
            self._abandon()
        self._watch = _Watch(loop, self)

    def _read(self) -> None:
        if self.closed:
            return
        for _ in range(_EVENTS_AT_A_TIME):
            try:
                event = self.scheduler.next(0)
            except OutOfMemoryError:
                # The event stays; reading again at once would only keep the loop busy.
                if self._watch is not None:
                    self._watch.pause()
                return
            if event is None:
                return
            # An answer that was dropped has no entry any more.
            answer = self._answers.get(event.request_id)
            if answer is not None:
                answer._receive(event)

    def _abandon(self) -> None:
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.close()
        for answer in list(self._answers.values()):
            answer._abandon()
        self._answers.clear()

    def close(self) -> None:
        """Ends all answers; who waits for one gets MisuseError."""
        super().close()
        self._abandon()
        self.scheduler.close()

    def __del__(self) -> None:
        watch = getattr(self, "_watch", None)
        if watch is not None:
            watch.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()


class _Watch:
    """An event loop that watches the descriptor of a scheduler, which may be dropped.

    The descriptor is a copy: it must stay open until the loop has forgotten it, whatever becomes of the scheduler.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, scheduler: AsyncScheduler) -> None:
        self.loop = loop
        self._descriptor = os.dup(scheduler.scheduler.fileno())
        self._thread = threading.get_ident()
        self._read = functools.partial(_read, weakref.ref(scheduler))
        self._watch()

    def pause(self) -> None:
        """Leaves the events alone for a moment."""
        self.loop.remove_reader(self._descriptor)
        self.loop.call_later(_PAUSE, self._watch)

    def _watch(self) -> None:
        if self._descriptor >= 0:
            self.loop.add_reader(self._descriptor, self._read)

    def close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor < 0:
            return
        if self._thread == threading.get_ident() or self.loop.is_closed():
            _forget(self.loop, descriptor)
        else:
            try:
                self.loop.call_soon_threadsafe(_forget, self.loop, descriptor)
            except RuntimeError:  # it was closed meanwhile
                os.close(descriptor)


def _read(reference: weakref.ref[AsyncScheduler]) -> None:
    scheduler = reference()
    if scheduler is not None:
        scheduler._read()


def _forget(loop: asyncio.AbstractEventLoop, descriptor: int) -> None:
    if not loop.is_closed():
        loop.remove_reader(descriptor)
    os.close(descriptor)


class _Answer:
    """What the events of an answer become, and who waits for them."""

    def __init__(self, scheduler: AsyncScheduler, number: int) -> None:
        self.number = number
        """The answer's number in the scheduler."""
        self._scheduler = scheduler.scheduler
        self._owner = scheduler
        self._loop = asyncio.get_running_loop()
        self._pieces: collections.deque[str] = collections.deque()
        self._waiter: asyncio.Future[None] | None = None
        self._is_finished = False
        self._error: BaseException | None = None

    def cancel(self) -> None:
        """Ends the answer soon, with the reason "cancelled"; calling it again, or after the end, does nothing."""
        if not self._is_finished:
            with contextlib.suppress(MisuseError):  # the scheduler is closed
                self._scheduler.cancel(self.number)

    async def aclose(self) -> None:
        """Cancels the answer and drops what is left of it."""
        self._drop()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._drop()

    def __del__(self) -> None:
        if not getattr(self, "_is_finished", True):
            self._drop()

    def _drop(self) -> None:
        self.cancel()
        self._owner._answers.pop(self.number, None)
        self._is_finished = True
        self._pieces.clear()
        self._wake()

    async def _next(self) -> str | None:
        """The next piece; None at the end. Cancels the answer when the task is cancelled."""
        while not self._pieces:
            if self._is_finished:
                error, self._error = self._error, None
                if error is not None:
                    raise error
                return None
            if self._waiter is not None:
                raise RuntimeError("another task is waiting for this answer already")
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            except BaseException:
                self._drop()
                raise
            finally:
                self._waiter = None
        return self._pieces.popleft()

    def _receive(self, event: Event) -> None:
        self._take(event)
        if event.kind == "finished":
            self._is_finished = True
            self._error = event.error
        self._wake()

    def _take(self, event: Event) -> None:
        raise NotImplementedError

    def _abandon(self) -> None:
        """The scheduler is gone, or the loop."""
        if not self._is_finished:
            self.cancel()
            self._is_finished, self._error = True, closed_error()
            if not self._loop.is_closed():
                self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class AsyncAnswer(_Answer, AsyncIterator[str]):
    """An answer of an `AsyncScheduler`: `async for` gives its pieces, whole characters; `await answer.result()` all of it.

    An error of the answer is raised there. The end of the scheduler is a MisuseError.
    """

    def __init__(self, scheduler: AsyncScheduler, number: int) -> None:
        super().__init__(scheduler, number)
        self._collector = Collector()

    async def __anext__(self) -> str:
        piece = await self._next()
        if piece is None:
            raise StopAsyncIteration
        return piece

    async def result(self) -> Result:
        """Waits for the end. After cancel() the result has the reason "cancelled" and what there was until then.

        Raises:
            XverseError: the answer failed. MisuseError: it was closed before its end.
        """
        while await self._next() is not None:
            pass
        if not self._collector.is_finished:
            raise MisuseError("this answer was closed before its end")
        return self._collector.result()

    def _take(self, event: Event) -> None:
        self._collector.add(event)
        if event.text and event.error is None:
            self._pieces.append(event.text)


class AsyncJSONAnswer(_Answer, AsyncIterator[str]):
    """The chunks of a response of OpenAI's interface, each one JSON text; without "stream" the response alone.

    An error of the answer is raised, with OpenAI's error object as its `response`.
    """

    stats: Stats | None = None
    """Figures of the answer, of all n together; None until its end."""

    async def __anext__(self) -> str:
        chunk = await self._next()
        if chunk is None:
            raise StopAsyncIteration
        return chunk

    def _take(self, event: Event) -> None:
        self.stats = event.stats
        if event.error is None:
            self._pieces.extend(line for line in event.text.split("\n") if line)


class AsyncSchedulers:
    """The schedulers that a model's own asynchronous methods use, one for each event loop."""

    def __init__(self, model: Model) -> None:
        self._model = weakref.ref(model)
        self._lock = threading.Lock()
        self._by_loop: dict[asyncio.AbstractEventLoop, AsyncScheduler] = {}

    def current(self) -> AsyncScheduler:
        """That of the running loop; one of a loop that was closed goes over to it."""
        loop = asyncio.get_running_loop()
        model = self._model()
        assert model is not None
        with self._lock:
            found = self._by_loop.get(loop)
            idle = [old for old in self._by_loop if old.is_closed()]
            for old in idle:
                scheduler = self._by_loop.pop(old)
                found = found or scheduler
            if found is None:
                found = AsyncScheduler(model)
            self._by_loop[loop] = found
        return found

    def close(self) -> None:
        with self._lock:
            schedulers = list(self._by_loop.values())
            self._by_loop.clear()
        for scheduler in schedulers:
            scheduler.close()
