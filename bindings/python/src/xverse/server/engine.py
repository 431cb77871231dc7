"""The model, its scheduler, and the state of the server."""

from __future__ import annotations

import asyncio
import concurrent.futures
import math
from typing import TYPE_CHECKING, Any

from ..cancel import Cancel
from ..errors import CancelledError
from ..model import Model
from .errors import RequestError, from_library
from .limits import Admission

if TYPE_CHECKING:
    from ..aio import AsyncScheduler
    from ..errors import XverseError
    from ..session import Session
    from .settings import Settings

__all__ = ["Engine"]


class Engine:
    """What answers the requests; all methods are for the thread of the event loop."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.admission = Admission(settings.parallel + settings.queue)
        self.is_draining = False
        self._has_ended = False
        self.name = settings.name or ""
        self._model: Model | None = None
        self._scheduler: AsyncScheduler | None = None
        self._session: Session | None = None
        self._loading = Cancel()
        # End what the thread does.
        self._cancels = {self._loading}
        # Loading and embedding are long calls: one at a time, on a thread that no answer needs.
        self._thread = concurrent.futures.ThreadPoolExecutor(1, "xverse-server")

    # ---- beginning and end ----

    async def load(self) -> None:
        """Loads the models.

        Raises:
            XverseError: as `Model` and `AsyncScheduler`.
        """
        settings = self.settings
        model, draft = await asyncio.get_running_loop().run_in_executor(self._thread, self._open)
        scheduler = model.async_scheduler(
            max_num_seqs=settings.parallel,
            max_queued_requests=settings.queue,
            **_given(context=settings.context, kv_type=settings.kv_type),
        )
        if draft is not None:
            scheduler.set_draft(draft, **_given(context=settings.context, kv_type=settings.kv_type))
        self.name = self.name or model.info.name
        self._model, self._scheduler = model, scheduler

    def _open(self) -> tuple[Model, Model | None]:
        settings = self.settings
        of_model = _given(quantize=settings.quantize)
        of_runtime = _given(threads=settings.threads, memory_limit=settings.memory_limit)
        model = Model(settings.model, cancel=self._loading, **of_runtime, **of_model)
        if settings.draft_model is None:
            return model, None
        return model, Model(settings.draft_model, runtime=model.runtime, cancel=self._loading, **of_model)

    @property
    def is_ready(self) -> bool:
        return self._scheduler is not None and not self.is_draining

    def check_ready(self) -> None:
        """Raises RequestError 503 while the model is loaded and when the server is about to end."""
        if self.is_draining:
            raise self.ended()
        if self._scheduler is None:
            raise RequestError(503, "the model is being loaded", "loading")

    def ended(self) -> RequestError:
        return RequestError(503, "the server is shutting down", "shutting_down")

    async def drain(self) -> None:
        """Refuses new requests, and returns when those that run have ended or their time of grace is over."""
        self.is_draining = True
        self._loading.trigger()
        loop = asyncio.get_running_loop()
        end = loop.time() + self.settings.grace
        while self.admission.active and loop.time() < end:
            await asyncio.sleep(0.05)
        self._end_all()

    def close(self) -> None:
        self._end_all()
        self._thread.shutdown()

    def _end_all(self) -> None:
        self._has_ended = True
        for cancel in list(self._cancels):
            cancel.trigger()
        if self._scheduler is not None:
            self._scheduler.close()

    # ---- what it does ----

    @property
    def model(self) -> Model:
        assert self._model is not None
        return self._model

    @property
    def scheduler(self) -> AsyncScheduler:
        assert self._scheduler is not None
        return self._scheduler

    @property
    def context(self) -> int:
        """Most tokens of a prompt with its answer."""
        return self.settings.context or self.model.info.n_ctx_train

    def deadline(self) -> float:
        """When a request that begins now must have ended, in the time of the event loop."""
        return asyncio.get_running_loop().time() + (self.settings.timeout or math.inf)

    def stats(self) -> dict[str, Any]:
        """Figures of the scheduler; {} without one."""
        if self._scheduler is None or self._scheduler.closed:
            return {}
        return self._scheduler.stats

    def embed(self, texts: list[list[int]], cancel: Cancel) -> concurrent.futures.Future[list[list[float]]]:
        """Vectors of token sequences, each pooled to its mean and of length 1.

        Raises:
            RequestError: 503, after the end.
        """
        if self._has_ended:
            raise self.ended()

        def work() -> list[list[float]]:
            if self._session is None:
                self._session = self.model.session(
                    **_given(context=self.settings.context, kv_type=self.settings.kv_type)
                )
            vectors = []
            for tokens in texts:
                if cancel.triggered:
                    raise CancelledError("the request was cancelled")
                self._session.truncate(0)
                vectors.append([float(x) for x in self._session.embed(tokens, normalize=True, cancel=cancel)])
            return vectors

        self._cancels.add(cancel)
        future = self._thread.submit(work)
        future.add_done_callback(lambda _: self._cancels.discard(cancel))
        return future

    def explain(self, error: XverseError) -> RequestError:
        """An error of the library as one of a request."""
        return self.ended() if self.is_draining else from_library(error)


def _given(**options: Any) -> dict[str, Any]:
    return {key: value for key, value in options.items() if value is not None}
