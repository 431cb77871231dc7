"""The routes of the server, as a Starlette application."""

from __future__ import annotations

import asyncio
import base64
import functools
import json
import logging
import math
import struct
import time
import uuid
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..cancel import Cancel
from ..errors import CancelledError, XverseError
from .errors import ClientGoneError, RequestError, error_response, text_of
from .limits import Keys, check_host, read_body, read_object, wait_until_gone
from .metrics import Metrics
from .openapi import document
from .sse import EventStream, follow, timed_out

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from ..result import Stats
    from .engine import Engine

__all__ = ["make_app"]

log = logging.getLogger("xverse.server")

_MOST_INPUTS = 2048


def make_app(engine: Engine) -> Starlette:
    """The application; the engine may still be loading."""
    api = _Api(engine)
    routes = [
        Route("/v1/chat/completions", api.chat_completions, methods=["POST"]),
        Route("/v1/completions", api.completions, methods=["POST"]),
        Route("/v1/embeddings", api.embeddings, methods=["POST"]),
        Route("/v1/models", api.models, methods=["GET"]),
        Route("/v1/models/{model:path}", api.model, methods=["GET"]),
        Route("/tokenize", api.tokenize, methods=["POST"]),
        Route("/detokenize", api.detokenize, methods=["POST"]),
        Route("/health", api.health, methods=["GET"]),
        Route("/metrics", api.metrics_text, methods=["GET"]),
        Route("/openapi.json", api.openapi, methods=["GET"]),
    ]
    middleware = []
    if engine.settings.cors_origins:
        middleware.append(
            Middleware(
                CORSMiddleware,
                allow_origins=list(engine.settings.cors_origins),
                allow_methods=["GET", "POST"],
                allow_headers=["Authorization", "Content-Type"],
                expose_headers=["X-Request-Id", "Retry-After"],
            )
        )
    middleware.append(Middleware(_Gate, engine=engine, metrics=api.metrics))
    return Starlette(
        routes=routes,
        middleware=middleware,
        exception_handlers={
            RequestError: api.on_error,
            XverseError: api.on_error,
            HTTPException: _on_http_error,
            # Nobody receives it; the number is for the log.
            ClientGoneError: _on_client_gone,
        },
    )


async def _on_client_gone(_: Request, __: Exception) -> Response:
    return Response(status_code=499)


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        found = RequestError(404, f"there is no {request.url.path!r:.80}", "not_found")
    elif error.status_code == 405:
        message = f"{request.method} is not allowed for {request.url.path!r:.80}"
        found = RequestError(405, message, "method_not_allowed", headers=dict(error.headers or {}))
    else:
        found = RequestError(error.status_code, str(error.detail), "invalid_value")
    return error_response(found)


class _Gate:
    """Around all routes: keys and hosts, a number for each request, its line in the log, its part of the metrics."""

    def __init__(self, app: ASGIApp, engine: Engine, metrics: Metrics) -> None:
        self._app = app
        self._engine = engine
        self._metrics = metrics
        self._keys = Keys(engine.settings.keys)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope)
        start = time.monotonic()
        number = f"req_{uuid.uuid4().hex}"
        # What the routes add is logged; nothing that a client wrote, but the path.
        entry: dict[str, Any] = {"event": "request", "id": number}
        scope["xverse.log"] = entry
        status = 0

        async def send_with_number(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", number.encode())]
            await send(message)

        self._metrics.in_progress.inc()
        try:
            refusal = self._refusal(request)
            if refusal is not None:
                await error_response(refusal)(scope, receive, send_with_number)
            else:
                await self._app(scope, receive, send_with_number)
        except Exception:
            log.exception(json.dumps({"event": "fault", "id": number}))
            if status == 0:
                error = RequestError(500, "an internal error of the server; its log has more", "internal_error")
                await error_response(error)(scope, receive, send_with_number)
        finally:
            self._metrics.in_progress.dec()
            seconds = time.monotonic() - start
            # Of a stream that began, how it ended.
            entry["status"] = entry.pop("end", status)
            path = _known_path(scope["path"])
            self._metrics.request(path, entry["status"], seconds)
            client = scope.get("client")
            entry.update(
                method=scope["method"] if scope["method"] in ("GET", "POST", "OPTIONS", "HEAD") else "other",
                path=path, client=client[0] if client else None, ms=round(seconds * 1000, 1),
            )  # fmt: skip
            log.info(json.dumps(entry))

    def _refusal(self, request: Request) -> RequestError | None:
        path = request.url.path
        try:
            check_host(request.headers.get("host", ""), self._engine.settings)
            if path != "/health":
                self._keys.check(request.headers.get("authorization", ""))
            if path not in ("/health", "/metrics", "/openapi.json"):
                self._engine.check_ready()
        except RequestError as error:
            return error
        return None


_PATHS = frozenset(document()["paths"])


def _known_path(path: str) -> str:
    """A path for log and metrics, where what anybody may ask for must not make ever new ones."""
    if path.startswith("/v1/models/"):
        return "/v1/models/{model}"
    return path if path in _PATHS else "other"


class _Api:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.metrics = Metrics(engine)
        self._began = int(time.time())

    async def on_error(self, _: Request, error: Exception) -> Response:
        if isinstance(error, XverseError):
            error = self._engine.explain(error)
        assert isinstance(error, RequestError)
        return error_response(error)

    # ---- answers ----

    async def chat_completions(self, request: Request) -> Response:
        return await self._complete(request, "messages")

    async def completions(self, request: Request) -> Response:
        return await self._complete(request, "prompt")

    async def _complete(self, request: Request, prompt: str) -> Response:
        engine = self._engine
        body = await read_body(request, engine.settings)
        # Only a look at it: the library reads the body itself, and has the errors of what is wrong with it.
        fields = read_object(body)
        n = 1
        if fields is not None:
            self._check_model(fields)
            if prompt not in fields:
                raise RequestError(400, f"{prompt!r} is missing", "invalid_value", prompt)
            found = fields.get("n")
            n = found if type(found) is int and found > 0 else 1
            if n > engine.settings.max_n:
                raise RequestError(400, f"'n' is {n}, expected at most {engine.settings.max_n}", "invalid_value", "n")
        place = engine.admission.take(n)
        entry = request.scope["xverse.log"]
        try:
            deadline = engine.deadline()
            answer = engine.scheduler.submit_json(body)
            is_stream = fields is not None and fields.get("stream") is True
            entry["stream"] = is_stream
            texts = follow(answer, request.receive, deadline, engine.settings.keep_alive if is_stream else 0)

            def end(status: int) -> None:
                place.release()
                entry["end"] = status
                if answer.stats is not None:
                    _note(entry, answer.stats)
                    self.metrics.answer(answer.stats, n)

            if is_stream:
                return EventStream(texts, deadline, engine.explain, end)
            response = ""
            async for text in texts:
                response = text or response
            end(200)
            return Response(response, media_type="application/json")
        except BaseException:
            place.release()
            raise

    def _check_model(self, fields: dict[str, Any]) -> None:
        model = fields.get("model")
        if isinstance(model, str) and model != self._engine.name:
            message = f"the model is {model!r:.80}, expected {self._engine.name!r}"
            raise RequestError(404, message, "model_not_found", "model")

    # ---- embeddings ----

    async def embeddings(self, request: Request) -> Response:
        """Mean of the final hidden states, of length 1."""
        engine = self._engine
        fields = await self._object(request)
        self._check_model(fields)
        _only(fields, {"input", "model", "encoding_format", "dimensions", "user"})
        form = fields.get("encoding_format") or "float"
        if form not in ("float", "base64"):
            raise _invalid("encoding_format", form, '"float" or "base64"')
        width = engine.model.info.n_embd
        if fields.get("dimensions") not in (None, width):
            raise _invalid("dimensions", fields["dimensions"], f"{width}, the width of the model")
        place = engine.admission.take(1)
        try:
            inputs, vectors = await self._embed(fields.get("input"), request)
        finally:
            place.release()
        count = sum(map(len, inputs))
        request.scope["xverse.log"]["prompt_tokens"] = count

        def response() -> Response:
            data = [
                {"object": "embedding", "index": index, "embedding": vector if form == "float" else _packed(vector)}
                for index, vector in enumerate(vectors)
            ]
            usage = {"prompt_tokens": count, "total_tokens": count}
            return _json({"object": "list", "data": data, "model": engine.name, "usage": usage})

        # Many numbers take long to write.
        return await asyncio.get_running_loop().run_in_executor(None, response)

    async def _embed(self, found: Any, request: Request) -> tuple[list[list[int]], list[list[float]]]:
        """The texts of field "input" as tokens, and their vectors; the work ends when the client leaves."""
        engine = self._engine
        loop = asyncio.get_running_loop()
        deadline = engine.deadline()
        inputs = await loop.run_in_executor(None, self._inputs, found)
        cancel = Cancel()
        work = asyncio.wrap_future(engine.embed(inputs, cancel))
        # Its error is of no interest when the client has left.
        work.add_done_callback(lambda work: work.cancelled() or work.exception())
        gone = asyncio.ensure_future(wait_until_gone(request.receive))
        both: set[asyncio.Future[Any]] = {work, gone}
        try:
            left = deadline - loop.time()
            timeout = None if left == math.inf else max(0, left)
            await asyncio.wait(both, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            if gone.done():
                raise ClientGoneError
            if not work.done():
                raise timed_out()
            return inputs, work.result()
        except CancelledError:
            raise engine.ended() from None
        finally:
            gone.cancel()
            cancel.trigger()

    def _inputs(self, found: Any) -> list[list[int]]:
        """The texts of field "input" as tokens: a string, strings, token ids, or lists of these."""
        expected = f"a string, an array of token ids, or an array of 1 to {_MOST_INPUTS} of them"
        if isinstance(found, str) or _is_tokens(found):
            found = [found]
        if not isinstance(found, list) or not 1 <= len(found) <= _MOST_INPUTS:
            raise _invalid("input", found, expected)
        vocabulary = self._engine.model.tokenizer.vocab_size
        inputs = []
        for index, text in enumerate(found):
            where = f"input[{index}]"
            if isinstance(text, str):
                tokens = self._encode(text, where)
            elif _is_tokens(text):
                tokens = text
            else:
                raise _invalid(where, text, "a string or an array of token ids")
            if not tokens:
                raise _invalid(where, text, "at least one token")
            if not all(0 <= token < vocabulary for token in tokens):
                raise _invalid(where, text, f"token ids from 0 to {vocabulary - 1}")
            if len(tokens) > self._engine.context:
                message = f"{where!r} has {len(tokens)} tokens, the context has {self._engine.context}"
                raise RequestError(400, message, "context_length_exceeded", where)
            inputs.append(tokens)
        return inputs

    # ---- tokens ----

    async def tokenize(self, request: Request) -> Response:
        fields = await self._object(request)
        self._check_model(fields)
        _only(fields, {"prompt", "messages", "model"})
        if ("prompt" in fields) == ("messages" in fields):
            raise RequestError(400, "expected either 'prompt' or 'messages'", "invalid_value")
        prompt, messages = fields.get("prompt"), fields.get("messages")
        run = functools.partial(asyncio.get_running_loop().run_in_executor, None)
        if "prompt" in fields:
            if not isinstance(prompt, str):
                raise _invalid("prompt", prompt, "a string")
            tokens = await run(self._encode, prompt, "prompt")
        else:
            if not isinstance(messages, list) or not all(_is_message(message) for message in messages):
                raise _invalid("messages", messages, 'an array of {"role": "...", "content": "..."}')
            tokens = await run(self._engine.model.prompt_tokens, messages)
        return _json({"tokens": tokens, "count": len(tokens), "max_model_len": self._engine.context})

    def _encode(self, text: str, where: str) -> list[int]:
        try:
            text.encode()
        except UnicodeEncodeError:
            raise RequestError(400, f"{where!r} has an unpaired surrogate", "invalid_value", where) from None
        return self._engine.model.tokenizer.encode(text)

    async def detokenize(self, request: Request) -> Response:
        fields = await self._object(request)
        self._check_model(fields)
        _only(fields, {"tokens", "model"})
        tokens: Any = fields.get("tokens")
        vocabulary = self._engine.model.tokenizer.vocab_size
        if tokens != [] and not (_is_tokens(tokens) and all(0 <= token < vocabulary for token in tokens)):
            raise _invalid("tokens", tokens, f"an array of token ids from 0 to {vocabulary - 1}")
        return _json({"prompt": self._engine.model.tokenizer.decode(tokens)})

    async def _object(self, request: Request) -> dict[str, Any]:
        body = await read_body(request, self._engine.settings)
        fields = await asyncio.get_running_loop().run_in_executor(None, read_object, body)
        if fields is None:
            raise RequestError(400, "the request is not a JSON object", "invalid_json")
        return fields

    # ---- the server ----

    async def models(self, _: Request) -> Response:
        return _json({"object": "list", "data": [self._model_object()]})

    async def model(self, request: Request) -> Response:
        self._check_model({"model": request.path_params["model"]})
        return _json(self._model_object())

    def _model_object(self) -> dict[str, Any]:
        engine = self._engine
        return {
            "id": engine.name,
            "object": "model",
            "created": self._began,
            "owned_by": "libxverse",
            "max_model_len": engine.context,
        }

    async def health(self, _: Request) -> Response:
        self._engine.check_ready()
        return _json({"status": "ok"})

    async def metrics_text(self, _: Request) -> Response:
        return Response(self.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def openapi(self, _: Request) -> Response:
        return _json(document())


def _json(body: Any) -> Response:
    return Response(text_of(body), media_type="application/json")


def _note(entry: dict[str, Any], stats: Stats) -> None:
    entry.update(
        prompt_tokens=stats.n_prompt,
        cached_tokens=stats.n_cached,
        completion_tokens=stats.n_generated,
        queue_ms=round(stats.ns_queue / 1e6, 1),
        first_token_ms=round(stats.ns_first_token / 1e6, 1),
    )


def _packed(vector: list[float]) -> str:
    """The little-endian float32 bytes of a vector in base64, as OpenAI's encoding_format "base64" has them."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def _is_tokens(found: Any) -> bool:
    return isinstance(found, list) and bool(found) and all(type(token) is int for token in found)


def _is_message(found: Any) -> bool:
    return isinstance(found, dict) and isinstance(found.get("role"), str) and isinstance(found.get("content"), str)


def _only(fields: dict[str, Any], known: set[str]) -> None:
    for name in fields:
        if name not in known:
            message = f"there is no field {name!r:.80}, expected one of {', '.join(sorted(known))}"
            raise RequestError(400, message, "invalid_value", name[:80])


def _invalid(param: str, found: Any, expected: str) -> RequestError:
    message = f"{param!r} is {json.dumps(found)[:80]}, expected {expected}"
    return RequestError(400, message, "invalid_value", param)
