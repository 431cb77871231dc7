"""Prompts: a text, token ids, or a conversation; requests of OpenAI's interface."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ._handle import Handle, encode, read_array, tokens_array
from ._library import lib
from .errors import check
from .sampling import Sampling, sampling_options

if TYPE_CHECKING:
    from typing_extensions import TypeAlias

Message: TypeAlias = "tuple[str, str] | Mapping[str, Any]"
"""One message: (role, text) or {"role": ..., "content": ...}; role: "system" (only first), "user", "assistant", "exec"."""

Prompt: TypeAlias = "str | Iterable[str | int] | Iterable[Message]"
"""A text, which the model continues; token ids (a list, an array); both mixed, in order; or messages, which it answers."""


def make_request(
    model: Handle, prompt: Prompt, sampling: Sampling | None = None, options: Mapping[str, Any] | None = None
) -> Handle:
    """A request of the library.

    Raises:
        TypeError: the prompt is none of those.
        XverseError: as xverse_request_add_message, xverse_request_set_options.
    """
    request = Handle(lib.xverse_request_create, lib.xverse_request_free, model)
    check(lib.xverse_request_set_options(request, sampling_options(sampling, options or {})))
    if isinstance(prompt, str):
        _add_text(request, prompt)
    elif isinstance(prompt, Mapping) or not hasattr(prompt, "__iter__"):
        raise TypeError(f"the prompt is {prompt!r:.80}, expected a text, token ids, or a list of messages")
    elif hasattr(prompt, "tolist"):
        _add_tokens(request, prompt)
    else:
        parts = list(prompt)
        start = 0
        while start < len(parts):
            part = parts[start]
            if isinstance(part, (tuple, Mapping)):
                add_message(request, part)
                start += 1
            elif isinstance(part, str):
                _add_text(request, part)
                start += 1
            else:
                end = next((i for i in range(start, len(parts)) if isinstance(parts[i], (str, tuple, Mapping))), None)
                _add_tokens(request, parts[start:end])
                start = len(parts) if end is None else end
    return request


def add_message(request: Handle, message: Message) -> None:
    """Adds a message of a conversation to a request."""
    try:
        role, content = (message["role"], message["content"]) if isinstance(message, Mapping) else message
    except (KeyError, ValueError):
        role = content = None
    if not isinstance(role, str) or not isinstance(content, str):
        raise TypeError(f'a message is {message!r:.80}, expected (role, text) or {{"role": ..., "content": ...}}')
    text = encode(content)
    check(lib.xverse_request_add_message(request, encode(role), text, len(text)))


def request_tokens(request: Handle) -> list[int]:
    """The prompt of a request as token ids."""
    return read_array(lib.xverse_request_tokens, request)


def _add_text(request: Handle, text: str) -> None:
    data = encode(text)
    check(lib.xverse_request_add_text(request, data, len(data)))


def _add_tokens(request: Handle, tokens: Any) -> None:
    ids = tokens_array(tokens)
    check(lib.xverse_request_add_tokens(request, ids, len(ids)))


def json_request(request: Mapping[str, Any] | str | bytes, stream: bool) -> bytes:
    """A request of OpenAI's interface as JSON, with "stream" as said; text that is no JSON stays, for the library's error."""
    if isinstance(request, (str, bytes)):
        try:
            parsed = json.loads(request)
        except (ValueError, RecursionError):
            parsed = None
        if not isinstance(parsed, dict):
            return request.encode("utf-8", "surrogatepass") if isinstance(request, str) else request
        request = parsed
    return json.dumps(dict(request, stream=stream)).encode()
