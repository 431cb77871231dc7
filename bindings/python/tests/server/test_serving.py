"""Clients that leave, many requests, keys, the end of the server, its figures."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

pytest.importorskip("starlette")

# 16 answers of 480 tokens take seconds.
LONG = {"prompt": "Once upon a time", "max_tokens": 480, "ignore_eos": True, "n": 16}
SHORT = {"prompt": "Once upon a time", "max_tokens": 4, "temperature": 0}


@contextlib.contextmanager
def begun(server, body):
    """The response to a request whose answers are running."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    with contextlib.closing(connection):
        connection.request("POST", "/v1/completions", json.dumps(body), {"Content-Type": "application/json"})
        if body.get("stream"):
            response = connection.getresponse()
            assert response.status == 200
            assert response.readline().startswith(b"data: {")
            yield response
        else:
            wait_until(lambda: server.metric("xverse_running") > 0)
            yield connection


def wait_until(is_so):
    end = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_leaves_ends_its_answers(serve, stream):
    server = serve()
    with begun(server, {**LONG, "stream": stream}):
        pass
    server.wait_for("request", path="/v1/completions", status=499)
    wait_until(lambda: server.metric("xverse_running") == 0)
    assert server.metric("xverse_generated_tokens_total") < 16 * 480
    assert server.ask("POST", "/v1/completions", SHORT)[0] == 200


def test_an_embedding_ends_when_its_client_leaves(serve):
    server = serve()
    body = json.dumps({"input": ["cat " * 120] * 2000}).encode()
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)) as connection:
        connection.request("POST", "/v1/embeddings", body, {"Content-Type": "application/json"})
        wait_until(lambda: server.metric("xverse_requests_in_progress") > 1)
    server.wait_for("request", path="/v1/embeddings", status=499)
    assert server.ask("POST", "/v1/embeddings", {"input": "a"})[0] == 200


def test_a_full_queue_is_status_429(serve):
    server = serve("--queue", "0")
    with begun(server, LONG):
        status, headers, answer = server.ask("POST", "/v1/completions", SHORT)
        assert (status, answer["error"]["type"], answer["error"]["code"]) == (429, "rate_limit_error", "queue_full")
        assert int(headers["Retry-After"]) > 0
        assert server.ask("POST", "/v1/embeddings", {"input": "a"})[0] == 429
    server.wait_for("request", path="/v1/completions", status=499)
    # The library ends the answers with its next pass.
    wait_until(lambda: server.ask("POST", "/v1/completions", SHORT)[0] == 200)


def test_a_reader_that_stops_delays_no_other(serve):
    server = serve()
    with begun(server, {**LONG, "n": 8, "stream": True}):
        for _ in range(5):
            assert server.ask("POST", "/v1/completions", SHORT)[0] == 200


def test_the_time_limit_ends_a_request(serve):
    server = serve("--timeout", "0.5")
    status, _, answer = server.ask("POST", "/v1/completions", LONG)
    assert (status, answer["error"]["code"]) == (504, "timeout")
    with begun(server, {**LONG, "stream": True}) as response:
        rest = response.read()
    assert json.loads(rest.rpartition(b"data: ")[2])["error"]["code"] == "timeout"
    wait_until(lambda: server.metric("xverse_running") == 0)


def test_sigterm_lets_answers_end_and_refuses_new_ones(serve):
    server = serve()
    with begun(server, {**LONG, "n": 8, "stream": True}) as response:
        server.process.terminate()
        server.wait_for("draining", answers=8)
        status, headers, answer = server.ask("POST", "/v1/completions", SHORT)
        assert (status, answer["error"]["code"]) == (503, "shutting_down")
        assert int(headers["Retry-After"]) > 0
        assert server.ask("GET", "/health")[0] == 503
        rest = response.read()
    assert rest.endswith(b"data: [DONE]\n\n")
    assert rest.count(b'"finish_reason":"length"') == 8
    assert server.process.wait(60) == 0


def test_the_grace_period_ends_answers(serve):
    server = serve("--grace", "0")
    with begun(server, {**LONG, "stream": True}) as response:
        server.process.terminate()
        rest = response.read()
    assert json.loads(rest.rpartition(b"data: ")[2])["error"]["code"] == "shutting_down"
    assert server.process.wait(60) == 0


def test_the_grace_period_ends_embeddings(serve):
    server = serve("--grace", "0")
    body = json.dumps({"input": ["cat " * 120] * 2000}).encode()
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)) as connection:
        connection.request("POST", "/v1/embeddings", body, {"Content-Type": "application/json"})
        wait_until(lambda: server.metric("xverse_requests_in_progress") > 1)
        server.process.terminate()
        response = connection.getresponse()
        assert response.status == 503
        assert json.loads(response.read())["error"]["code"] == "shutting_down"
    assert server.process.wait(60) == 0


def test_there_is_status_503_until_the_model_is_loaded():
    httpx = pytest.importorskip("httpx")
    from xverse.server.app import make_app
    from xverse.server.engine import Engine
    from xverse.server.settings import parse_arguments

    async def main():
        transport = httpx.ASGITransport(app=make_app(Engine(parse_arguments(["model"]))))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            for response in (await client.get("/health"), await client.post("/v1/completions", json=SHORT)):
                assert (response.status_code, response.json()["error"]["code"]) == (503, "loading")
                assert int(response.headers["Retry-After"]) > 0
            assert (await client.get("/metrics")).status_code == 200

    asyncio.run(main())


def test_a_draft_model_and_quantized_weights_keep_the_form_of_answers(serve, path):
    server = serve("--draft-model", path, "--quantize", "int8", "--kv-type", "f16", "--context", "256")
    status, _, answer = server.ask("POST", "/v1/completions", {**SHORT, "max_tokens": 40})
    assert (status, answer["usage"]["completion_tokens"]) == (200, 40)
    assert server.metric("xverse_accepted_draft_tokens_total") > 0
    assert server.ask("GET", "/v1/models")[2]["data"][0]["max_model_len"] == 256


def test_keys(serve, tmp_path):
    keys = tmp_path / "keys"
    keys.write_text("# two\nfirst-key\n\n  second-key  \n", encoding="utf-8")
    server = serve("--api-key-file", str(keys), "--cors-origin", "https://chat.example", XVERSE_API_KEY="not-this")
    for header in (
        {},
        {"Authorization": "Bearer not-this"},
        {"Authorization": "Basic first-key"},
        {"Authorization": "Bearer "},
    ):
        status, headers, answer = server.ask("GET", "/v1/models", Origin="https://chat.example", **header)
        assert (status, answer["error"]["code"]) == (401, "invalid_api_key")
        # Else a page could not read the error.
        assert headers["Access-Control-Allow-Origin"] == "https://chat.example"
    assert server.ask("GET", "/v1/models", Authorization="Bearer first-key")[0] == 200
    assert server.ask("GET", "/v1/models", Authorization="bearer second-key", Host="chat.example")[0] == 200
    assert server.ask("GET", "/metrics")[0] == 401
    assert server.ask("GET", "/health")[0] == 200
    preflight = {"Origin": "https://chat.example", "Access_Control_Request_Method": "POST"}
    status, headers, _ = server.ask(
        "OPTIONS", "/v1/completions", Access_Control_Request_Headers="authorization", **preflight
    )
    assert status == 200
    assert "authorization" in headers["Access-Control-Allow-Headers"].lower()
    assert not any("first-key" in json.dumps(line) for line in server.lines)


def test_a_file_without_a_key_is_an_error(path, tmp_path):
    from xverse.server.settings import parse_arguments

    (tmp_path / "keys").write_text("# none\n", encoding="utf-8")
    for file in ("keys", "missing"):
        with pytest.raises(SystemExit) as caught:
            parse_arguments([path, "--api-key-file", str(tmp_path / file)])
        assert caught.value.code == 2


def test_only_loopback_addresses_need_no_warning():
    from xverse.server.settings import parse_arguments

    loopback = {host: parse_arguments(["m", "--host", host]).is_loopback for host in ("127.0.0.1", "::1", "localhost")}
    assert all(loopback.values()), loopback
    open_to_all = {
        host: parse_arguments(["m", "--host", host]).is_loopback for host in ("0.0.0.0", "::", "example.org")
    }
    assert not any(open_to_all.values()), open_to_all


def test_the_key_of_the_environment(serve):
    server = serve(XVERSE_API_KEY="one-key")
    assert server.ask("GET", "/v1/models")[0] == 401
    assert server.ask("GET", "/v1/models", Authorization="Bearer one-key")[0] == 200


def test_only_named_origins_are_allowed(server):
    assert server.ask("GET", "/health", Origin="https://chat.example")[1]["Access-Control-Allow-Origin"]
    headers = server.ask("GET", "/health", Origin="https://other.example")[1]
    assert "Access-Control-Allow-Origin" not in headers
    assert "Access-Control-Allow-Credentials" not in headers


def test_a_model_that_is_missing_ends_the_server(run_program, tmp_path):
    program = "import sys\nfrom xverse.server.__main__ import main\nsys.exit(main([sys.argv[2], '--port', '0']))\n"
    ended = run_program(program, str(tmp_path / "missing"))
    assert ended.returncode == 1
    failed = [line for line in map(json.loads, ended.stderr.splitlines()) if line["event"] == "failed"]
    assert len(failed) == 1
    assert failed[0]["error"].startswith("XVERSE_E_NOTFOUND: ")


def test_the_log_has_figures_and_no_texts(server):
    secret = "zanzibar"
    headers = server.ask("POST", "/v1/completions", {**SHORT, "prompt": secret, "user": secret})[1]
    line = server.wait_for("request", id=headers["X-Request-Id"])
    assert line["status"] == 200
    assert line["completion_tokens"] == 4
    assert line["prompt_tokens"] > 0
    assert line["first_token_ms"] > 0
    server.ask("GET", f"/v1/models/{secret}")
    server.ask("GET", f"/{secret}")
    assert secret not in json.dumps(server.lines)


def test_metrics(server):
    before = server.metric('xverse_requests_total{path="/v1/completions",status="200"}') if has_any(server) else 0
    tokens = server.metric("xverse_generated_tokens_total")
    assert server.ask("POST", "/v1/completions", SHORT)[0] == 200
    assert server.metric('xverse_requests_total{path="/v1/completions",status="200"}') == before + 1
    assert server.metric("xverse_generated_tokens_total") == tokens + 4
    for name in ("time_to_first_token_seconds", "time_per_output_token_seconds"):
        assert server.metric(f"xverse_{name}_count") > 0
    for name in ("running", "waiting", "kv_blocks", "prefix_blocks", "prefix_hit_rate", "tokens_per_second"):
        assert server.metric(f"xverse_{name}") >= 0


def has_any(server):
    return 'path="/v1/completions",status="200"' in server.ask("GET", "/metrics")[2]


def test_tokens_and_back(server, model):
    for prompt in ("three white cats", "三只白猫", ""):
        status, _, answer = server.ask("POST", "/tokenize", {"prompt": prompt})
        assert (status, answer["tokens"]) == (200, model.tokenizer.encode(prompt))
        assert answer["count"] == len(answer["tokens"])
        assert server.ask("POST", "/detokenize", {"tokens": answer["tokens"]})[2] == {"prompt": prompt}
    messages = [{"role": "user", "content": "Hi"}]
    assert server.ask("POST", "/tokenize", {"messages": messages})[2]["tokens"] == model.prompt_tokens(messages)


def test_the_openapi_document_has_all_routes_and_fields(server):
    from xverse.server.app import make_app
    from xverse.server.engine import Engine
    from xverse.server.settings import parse_arguments

    document = server.ask("GET", "/openapi.json")[2]
    app = make_app(Engine(parse_arguments(["model"])))
    routes = {route.path.replace(":path", "") for route in app.routes}
    assert set(document["paths"]) == routes
    page = Path(__file__).resolve().parents[4] / "docs" / "openai.md"
    table = page.read_text(encoding="utf-8").split("## Fields")[1].split("These fields are accepted only")[0]
    documented = set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE))
    declared = set()
    for path in ("/v1/chat/completions", "/v1/completions"):
        content = document["paths"][path]["post"]["requestBody"]["content"]
        declared |= set(content["application/json"]["schema"]["properties"])
    assert documented == declared - {"user"}


def test_a_silent_stream_has_comments(model):
    from xverse.server.sse import follow

    class Silent:
        """An answer whose prompt takes long."""

        def __aiter__(self):
            return self

        async def __anext__(self):
            await asyncio.sleep(3600)

        async def aclose(self):
            self.is_closed = True

    async def main():
        async def receive():
            await asyncio.sleep(3600)

        answer = Silent()
        texts = follow(answer, receive, float("inf"), 0.01)
        assert [await texts.__anext__() for _ in range(3)] == [None] * 3
        await texts.aclose()
        assert answer.is_closed

    asyncio.run(main())


def test_a_port_that_is_taken_is_an_error(server, path):
    from xverse.server.__main__ import main

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert main([path, "--port", str(taken.getsockname()[1])]) != 0


def test_the_transcripts_of_the_documentation(serve):
    """Runs the commands of docs/serving.md, which must print what it shows, but for numbers and times."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    server = serve()
    page = (Path(__file__).resolve().parents[4] / "docs" / "serving.md").read_text(encoding="utf-8")
    block = next(block for block in re.findall(r"```text\n(.*?)```", page, re.DOTALL) if block.startswith("$ curl"))

    def masked(text):
        return re.sub(r'"(id|created|system_fingerprint)":("[^"]*"|\d+)', r'"\1":...', text).strip()

    for part in block.removeprefix("$ ").split("\n$ "):
        command, expected = re.fullmatch(r"((?:.*\\\n)*.*)\n([\s\S]*)", part.strip()).groups()
        command = command.replace("http://127.0.0.1:8000", server.url)
        found = subprocess.run(
            ["sh", "-c", command], capture_output=True, text=True, encoding="utf-8", check=True, timeout=60
        )
        assert masked(found.stdout) == masked(expected)
