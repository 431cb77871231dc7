"""Servers in processes of their own, on free ports of the loopback address."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import xverse

NEEDED = ("starlette", "uvicorn", "prometheus_client", "openai")
# Seconds after which something that should have happened counts as failed.
PATIENCE = 60


def pytest_collection_modifyitems(items):
    missing = []
    for name in NEEDED:
        try:
            __import__(name)
        except ImportError:
            missing.append(name)
    if missing:
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(pytest.mark.skip(reason=f"not installed: {', '.join(missing)}"))


class Server:
    """A running server and what it logged."""

    def __init__(self, model: str, *options: str, **environment: str) -> None:
        search = os.pathsep.join(filter(None, [str(Path(xverse.__file__).parents[1]), os.environ.get("PYTHONPATH")]))
        without_key = {name: value for name, value in os.environ.items() if name != "XVERSE_API_KEY"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "xverse.server", model, "--port", "0", *options],
            stderr=subprocess.PIPE, text=True, encoding="utf-8",
            env={**without_key, "PYTHONPATH": search, **environment},
        )  # fmt: skip
        self.lines: list[dict] = []
        self._news = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self.process.stderr:
            with self._news:
                # Something that is no JSON is a fault of the server.
                try:
                    self.lines.append(json.loads(line))
                except ValueError:
                    self.lines.append({"event": "no JSON", "text": line})
                self._news.notify_all()
        with self._news:
            self.lines.append({"event": "eof"})
            self._news.notify_all()

    def wait_for(self, event: str, **members) -> dict:
        """The first line of the log with this event and these members."""

        def find():
            wanted = {"event": event, **members}.items()
            return next((line for line in self.lines if wanted <= line.items()), None)

        with self._news:
            self._news.wait_for(lambda: find() or self.lines[-1:] == [{"event": "eof"}], PATIENCE)
            found = find()
            assert found is not None, self.lines
            return found

    def start(self) -> Server:
        self.url = self.wait_for("listening")["url"]
        self.port = int(self.url.rpartition(":")[2])
        self.wait_for("ready")
        return self

    def ask(self, method: str, path: str, body=None, **headers: str):
        """Status, headers and JSON of a response."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        with contextlib.closing(connection):
            if body is not None and not isinstance(body, bytes):
                body = json.dumps(body).encode()
            sent = {"Content-Type": "application/json"} if body is not None else {}
            sent.update((name.replace("_", "-"), value) for name, value in headers.items())
            connection.request(method, path, body, sent)
            response = connection.getresponse()
            text = response.read()
            is_json = response.headers.get("Content-Type") == "application/json"
            return response.status, response.headers, json.loads(text) if is_json else text.decode()

    def raw(self, data: bytes) -> bytes:
        """What comes back for bytes, until the server closes the connection."""
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as connection:
            with contextlib.suppress(ConnectionError):
                connection.sendall(data)
            received = b""
            with contextlib.suppress(ConnectionError):
                while part := connection.recv(65536):
                    received += part
            return received

    def metric(self, name: str) -> float:
        text = self.ask("GET", "/metrics")[2]
        return next(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name + " "))

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(PATIENCE)


@pytest.fixture
def serve(path):
    """Starts servers, which end with the test."""
    servers = []

    def start(*options: str, **environment: str) -> Server:
        servers.append(Server(path, "--threads", "1", *options, **environment))
        return servers[-1].start()

    yield start
    for server in servers:
        server.process.kill()
        server.process.wait()


@pytest.fixture(scope="session")
def server(path):
    """A server that the tests share."""
    options = (
        "--threads",
        "1",
        "--max-body",
        "100000",
        "--receive-timeout",
        "1",
        "--cors-origin",
        "https://chat.example",
    )
    server = Server(path, *options).start()
    yield server
    server.process.kill()
    server.process.wait()
