"""The server as a program: python -m xverse.server MODEL."""

from __future__ import annotations

import asyncio
import datetime
import json
import logging
import sys
from typing import TYPE_CHECKING, Any

from ..errors import XverseError

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence
    from types import FrameType

try:
    import uvicorn

    from .app import make_app
    from .engine import Engine
    from .protocol import make_protocol
    from .settings import Settings, parse_arguments
except ImportError as missing:
    sys.exit(f'xverse-server: {missing}; install what it needs with: pip install "libxverse[server]"')

log = logging.getLogger("xverse.server")


class _Server(uvicorn.Server):
    """uvicorn's server; at a signal it goes on listening, and refuses, until the running answers have ended."""

    def __init__(self, config: uvicorn.Config, engine: Engine) -> None:
        super().__init__(config)
        self._engine = engine
        self._loop = asyncio.get_running_loop()
        self._ending: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            address = self.servers[0].sockets[0].getsockname()
            host = f"[{address[0]}]" if ":" in address[0] else address[0]
            _log("listening", url=f"http://{host}:{address[1]}")

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._loop.call_soon_threadsafe(self._end)

    def _end(self) -> None:
        if self._ending is None:
            _log("draining", answers=self._engine.admission.active)
            self._ending = asyncio.ensure_future(self._drain())
        else:  # a second signal
            self.force_exit = self.should_exit = True

    async def _drain(self) -> None:
        await self._engine.drain()
        self.should_exit = True


async def _serve(settings: Settings) -> int:
    engine = Engine(settings)
    config = uvicorn.Config(
        make_app(engine), host=settings.host, port=settings.port, http=make_protocol(settings.receive_timeout), ws="none",
        loop="asyncio", lifespan="off", log_config=None, access_log=False, server_header=False, proxy_headers=False,
        timeout_graceful_shutdown=2,
    )  # fmt: skip
    server = _Server(config, engine)
    status = 0

    async def load() -> None:
        nonlocal status
        try:
            await engine.load()
            _log("ready", model=engine.name, context=engine.context)
        except Exception as error:  # noqa: BLE001 -- whatever it is, there is no model to wait for
            if not engine.is_draining:
                status = 1
                name = error.name if isinstance(error, XverseError) else type(error).__name__
                _log("failed", logging.ERROR, error=f"{name}: {error}")
            server.should_exit = True

    loading = asyncio.ensure_future(load())
    try:
        await server.serve()
    finally:
        engine.close()
        await loading
    _log("ended")
    return status


class _JsonLines(logging.Formatter):
    """One JSON object a line, for our lines and for those of the libraries."""

    def format(self, record: logging.LogRecord) -> str:
        text = record.getMessage()
        try:
            found = json.loads(text) if record.name == log.name else {"event": "log", "message": text}
        except ValueError:
            found = {"event": "log", "message": text}
        line = {"time": self.formatTime(record), "level": record.levelname.lower(), **found}
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        return datetime.datetime.fromtimestamp(record.created, datetime.timezone.utc).isoformat(timespec="milliseconds")


def _log(event: str, level: int = logging.INFO, **members: Any) -> None:
    log.log(level, json.dumps({"event": event, **members}))


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves until SIGTERM or Ctrl-C; returns the exit status."""
    settings = parse_arguments(arguments)
    handler = logging.StreamHandler()
    handler.setFormatter(_JsonLines())
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    log.setLevel(logging.INFO)
    if not settings.keys and not settings.is_loopback:
        message = f"every computer that reaches {settings.host} can use this server: there is no API key"
        _log("warning", logging.WARNING, message=message)
    try:
        return asyncio.run(_serve(settings))
    except SystemExit as error:  # uvicorn's, when it cannot listen
        return error.code if isinstance(error.code, int) else 1


if __name__ == "__main__":
    sys.exit(main())
