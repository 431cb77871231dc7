"""Bad requests: each has its status and error object, and the server goes on."""

from __future__ import annotations

import json
import socket

import pytest

CHAT = "/v1/chat/completions"
TEXT = "/v1/completions"
MESSAGES = [{"role": "user", "content": "Hi"}]


def chat(**members):
    return json.dumps({"messages": MESSAGES, **members}).encode()


def text(**members):
    return json.dumps({"prompt": "Hi", **members}).encode()


CASES = {
    "no JSON": (CHAT, b"{", 400, "invalid_json"),
    "no body": (CHAT, b"", 400, "invalid_json"),
    "an array": (CHAT, b"[]", 400, "invalid_value"),
    "invalid UTF-8": (TEXT, b'{"prompt": "\xff"}', 400, "invalid_json"),
    "an unpaired surrogate": (TEXT, b'{"prompt": "\\ud800"}', 400, "invalid_json"),
    "a key twice": (TEXT, b'{"prompt": "a", "prompt": "b"}', 400, "invalid_json"),
    "nested 300 levels": (TEXT, b'{"prompt": ' + b"[" * 300, 413, "request_too_large"),
    "nested 50,000 levels": (TEXT, b'{"prompt": ' + b"[" * 50000, 413, "request_too_large"),
    "a body over the limit": (TEXT, text(user="x" * 100000), 413, "request_too_large"),
    "an unknown field": (CHAT, chat(tempature=1), 400, "unsupported_value"),
    "no messages": (CHAT, b'{"messages": []}', 400, "invalid_value"),
    "a prompt where messages belong": (CHAT, text(), 400, "invalid_value"),
    "messages where a prompt belongs": (TEXT, chat(), 400, "invalid_value"),
    "both": (TEXT, chat(prompt="Hi"), 400, "invalid_value"),
    "an unknown role": (CHAT, b'{"messages": [{"role": "boss", "content": "Hi"}]}', 400, "invalid_value"),
    "a message that is a number": (CHAT, b'{"messages": [1]}', 400, "invalid_value"),
    "an unknown model": (CHAT, chat(model="gpt-4"), 404, "model_not_found"),
    "a model that is a number": (CHAT, chat(model=4), 400, "invalid_value"),
    "temperature as text": (CHAT, chat(temperature="hot"), 400, "invalid_value"),
    "temperature 1e308": (CHAT, chat(temperature=1e308), 400, "invalid_value"),
    "max_tokens 1e400": (TEXT, b'{"prompt": "a", "max_tokens": 1e400}', 400, "invalid_value"),
    "max_tokens of 5,000 digits": (TEXT, b'{"prompt": "a", "max_tokens": ' + b"9" * 5000 + b"}", 400, None),
    "max_tokens below 0": (TEXT, text(max_tokens=-1), 400, "invalid_value"),
    "NaN": (TEXT, b'{"prompt": "a", "temperature": NaN}', 400, "invalid_json"),
    "n 0": (TEXT, text(n=0), 400, "invalid_value"),
    "n 17": (TEXT, text(n=17), 400, "invalid_value"),
    "n as text": (TEXT, text(n="2"), 400, "invalid_value"),
    "stream as text": (TEXT, text(stream="yes"), 400, "invalid_value"),
    "a stream with an error": (TEXT, text(stream=True, top_p=2), 400, "invalid_value"),
    "1,000 stop strings": (TEXT, text(stop=["a"] * 1000), 400, "invalid_value"),
    "echo": (TEXT, text(echo=True), 400, "unsupported_value"),
    "tools": (CHAT, chat(tools=[{"type": "function"}]), 400, "unsupported_value"),
    "logit_bias beyond the vocabulary": (CHAT, chat(logit_bias={"99999": 1}), 400, "invalid_value"),
    "a prompt longer than the context": (TEXT, text(prompt="cat " * 2000), 400, "context_length_exceeded"),
    "an empty prompt": (TEXT, text(prompt=""), 400, "invalid_value"),
    "embeddings of nothing": ("/v1/embeddings", b'{"input": []}', 400, "invalid_value"),
    "an embedding of an empty text": ("/v1/embeddings", b'{"input": ""}', 400, "invalid_value"),
    "an embedding of a number": ("/v1/embeddings", b'{"input": 1}', 400, "invalid_value"),
    "an embedding of token -1": ("/v1/embeddings", b'{"input": [-1]}', 400, "invalid_value"),
    "an embedding of an unpaired surrogate": ("/v1/embeddings", b'{"input": "\\ud800"}', 400, "invalid_value"),
    "an embedding longer than the context": (
        "/v1/embeddings", json.dumps({"input": "cat " * 2000}).encode(), 400, "context_length_exceeded",
    ),
    "an embedding with 3 dimensions": ("/v1/embeddings", b'{"input": "a", "dimensions": 3}', 400, "invalid_value"),
    "an unknown field of embeddings": ("/v1/embeddings", b'{"input": "a", "x": 3}', 400, "invalid_value"),
    "tokenize nothing": ("/tokenize", b"{}", 400, "invalid_value"),
    "tokenize a number": ("/tokenize", b'{"prompt": 1}', 400, "invalid_value"),
    "tokenize a message that is text": ("/tokenize", b'{"messages": ["a"]}', 400, "invalid_value"),
    "tokenize an unknown role": ("/tokenize", b'{"messages": [{"role": "boss", "content": ""}]}', 400, "invalid_value"),
    "detokenize a huge number": ("/detokenize", b'{"tokens": [1' + b"0" * 30 + b"]}", 400, "invalid_value"),
    "detokenize text": ("/detokenize", b'{"tokens": "abc"}', 400, "invalid_value"),
    "detokenize true": ("/detokenize", b'{"tokens": [true]}', 400, "invalid_value"),
    "an unknown path": ("/v1/nothing", b"{}", 404, "not_found"),
    "a POST where GET belongs": ("/v1/models", b"{}", 405, "method_not_allowed"),
}  # fmt: skip


@pytest.fixture(autouse=True)
def still_answers(server):
    yield
    assert server.process.poll() is None
    assert server.ask("GET", "/health")[::2] == (200, {"status": "ok"})
    assert not [line for line in server.lines if line["event"] in ("fault", "no JSON")]


@pytest.mark.parametrize("case", CASES)
def test_bad_request(server, case):
    path, body, status, code = CASES[case]
    found, headers, answer = server.ask("POST", path, body)
    check(answer)
    assert (found, answer["error"]["code"] if code else None) == (status, code), answer
    assert headers["X-Request-Id"].startswith("req_")


def check(answer):
    assert set(answer) == {"error"}
    assert set(answer["error"]) == {"message", "type", "param", "code"}
    assert answer["error"]["message"]


def refused(received):
    """Status and code of a response as it came."""
    head, _, body = received.partition(b"\r\n\r\n")
    answer = json.loads(body)
    check(answer)
    return int(head.split()[1]), answer["error"]["code"]


def test_another_content_type_is_refused(server):
    status, _, answer = server.ask("POST", TEXT, text(), Content_Type="text/plain")
    assert (status, answer["error"]["code"]) == (415, "unsupported_media_type")


def test_a_foreign_host_is_refused(server):
    status, _, answer = server.ask("GET", "/v1/models", Host="attacker.example")
    assert (status, answer["error"]["code"]) == (403, "host_not_allowed")
    assert server.ask("GET", "/v1/models", Host="localhost:8000")[0] == 200
    assert server.ask("GET", "/v1/models", Host="[::1]:8000")[0] == 200


def test_bytes_that_are_no_http_are_refused(server):
    assert refused(server.raw(b"\x16\x03\x01\x02\r\n\r\n")) == (400, "invalid_http")


def test_a_head_that_is_too_large_is_refused(server):
    assert refused(server.raw(b"GET /health HTTP/1.1\r\nX: " + b"x" * 70000)) == (431, "headers_too_large")
    many = b"".join(b"X%d: y\r\n" % number for number in range(20000))
    assert refused(server.raw(b"GET /health HTTP/1.1\r\n" + many)) == (431, "headers_too_large")


def test_a_head_that_does_not_end_times_out(server):
    assert refused(server.raw(b"GET /health HTTP/1.1\r\nHost: localhost\r\n")) == (408, "timeout")


def test_a_body_that_does_not_end_times_out(server):
    head = b"POST /tokenize HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n"
    assert refused(server.raw(head + b"{")) == (408, "timeout")


def test_a_chunked_body_over_the_limit_is_refused(server):
    head = b"POST /tokenize HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert refused(server.raw(head + b"20000\r\n" + b"x" * 0x20000 + b"\r\n0\r\n\r\n")) == (413, "request_too_large")


def test_a_client_that_leaves_in_its_body_is_no_fault(server):
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(b"POST /tokenize HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n")
        connection.sendall(b"Content-Length: 9\r\n\r\n{")
    server.wait_for("request", path="/tokenize", status=499)
