"""The OpenAPI document of the server."""

from __future__ import annotations

import functools
from typing import Any

from .. import __name__ as _package

__all__ = ["document"]

_TEXT = {"type": "string"}
_WHOLE = {"type": "integer"}
_FLAG = {"type": "boolean"}
_TOKENS = {"type": "array", "items": {"type": "integer", "minimum": 0}}
_TEXT_PARTS = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"type": {"const": "text"}, "text": _TEXT},
        "required": ["type", "text"],
    },
}
_ROLES = ["system", "developer", "user", "assistant", "tool", "function"]
_MESSAGES = {
    "type": "array",
    "minItems": 1,
    "items": {
        "type": "object",
        "properties": {"role": {"enum": _ROLES}, "content": {"oneOf": [_TEXT, _TEXT_PARTS]}},
        "required": ["role", "content"],
    },
}


def _number(low: float, high: float) -> dict[str, Any]:
    return {"type": "number", "minimum": low, "maximum": high}


def _count(low: int, high: int | None = None) -> dict[str, Any]:
    return {"type": "integer", "minimum": low, **({} if high is None else {"maximum": high})}


# Fields that both kinds of completions have; docs/openai.md describes them.
_COMMON: dict[str, Any] = {
    "model": _TEXT,
    "temperature": _number(0, 2),
    "top_p": _number(0, 1),
    "top_k": _count(-1),
    "min_p": _number(0, 1),
    "repetition_penalty": {"type": "number", "exclusiveMinimum": 0},
    "presence_penalty": _number(-2, 2),
    "frequency_penalty": _number(-2, 2),
    "logit_bias": {"type": "object", "additionalProperties": _number(-100, 100)},
    "seed": _WHOLE,
    "max_tokens": _count(0),
    "stop": {"oneOf": [_TEXT, {"type": "array", "items": _TEXT, "maxItems": 256}]},
    "ignore_eos": _FLAG,
    "n": _count(1, 128),
    "stream": _FLAG,
    "stream_options": {"type": "object", "properties": {"include_usage": _FLAG}},
    "user": _TEXT,
}
_CHAT: dict[str, Any] = {
    **_COMMON,
    "messages": _MESSAGES,
    "max_completion_tokens": _count(0),
    "logprobs": _FLAG,
    "top_logprobs": _count(0, 20),
}
_COMPLETION: dict[str, Any] = {**_COMMON, "prompt": {"oneOf": [_TEXT, _TOKENS]}, "logprobs": _count(0, 5)}
_TEXTS = {"type": "array", "items": {"oneOf": [_TEXT, _TOKENS]}, "minItems": 1, "maxItems": 2048}
_EMBEDDING: dict[str, Any] = {
    "model": _TEXT,
    "input": {"oneOf": [_TEXT, _TOKENS, _TEXTS]},
    "encoding_format": {"enum": ["float", "base64"]},
    "dimensions": _WHOLE,
    "user": _TEXT,
}
_ERROR = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "message": _TEXT,
                "type": {"enum": ["invalid_request_error", "rate_limit_error", "server_error"]},
                "param": {"type": ["string", "null"]},
                "code": _TEXT,
            },
        }
    },
}


@functools.lru_cache(None)
def document() -> dict[str, Any]:
    """The document, OpenAPI 3.1."""
    stream = {"text/event-stream": {"schema": _TEXT}}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"{_package}-server",
            "version": "1",
            "description": "OpenAI's interface to an XVERSE model.",
        },
        "security": [{"key": []}],
        "paths": {
            "/v1/chat/completions": _post("Answer a conversation", _CHAT, ["messages"], stream),
            "/v1/completions": _post("Continue a text", _COMPLETION, ["prompt"], stream),
            "/v1/embeddings": _post("Embed texts", _EMBEDDING, ["input"]),
            "/v1/models": _get("List the model"),
            "/v1/models/{model}": {
                **_get("Describe the model"),
                "parameters": [{"name": "model", "in": "path", "required": True, "schema": _TEXT}],
            },
            "/tokenize": _post("Count and list tokens", {"model": _TEXT, "prompt": _TEXT, "messages": _MESSAGES}, []),
            "/detokenize": _post("Turn tokens into text", {"model": _TEXT, "tokens": _TOKENS}, ["tokens"]),
            "/health": _get("Tell whether the model is loaded", security=[]),
            "/metrics": _get("Figures for Prometheus", {"text/plain": {"schema": _TEXT}}),
            "/openapi.json": _get("This document"),
        },
        "components": {
            "schemas": {"Error": _ERROR},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


_JSON: dict[str, Any] = {"application/json": {"schema": {"type": "object"}}}


def _responses(content: dict[str, Any]) -> dict[str, Any]:
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {
        "200": {"description": "Success", "content": content},
        "default": {"description": "An error", "content": error},
    }


def _get(summary: str, content: dict[str, Any] | None = None, **members: Any) -> dict[str, Any]:
    return {"get": {"summary": summary, **members, "responses": _responses(content or _JSON)}}


def _post(
    summary: str, fields: dict[str, Any], required: list[str], stream: dict[str, Any] | None = None
) -> dict[str, Any]:
    schema = {"type": "object", "properties": fields, "required": required, "additionalProperties": False}
    body = {"required": True, "content": {"application/json": {"schema": schema}}}
    return {"post": {"summary": summary, "requestBody": body, "responses": _responses({**_JSON, **(stream or {})})}}
