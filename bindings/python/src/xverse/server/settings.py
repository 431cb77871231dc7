"""The command line of the server."""

from __future__ import annotations

import argparse
import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

__all__ = ["Settings", "parse_arguments"]


@dataclass(frozen=True)
class Settings:
    """What the command line says; times in seconds, sizes in bytes."""

    model: str
    name: str | None
    host: str
    port: int
    keys: tuple[str, ...]
    cors_origins: tuple[str, ...]
    allowed_hosts: tuple[str, ...]
    quantize: str | None
    kv_type: str | None
    context: int | None
    threads: int | None
    memory_limit: int | None
    draft_model: str | None
    parallel: int
    queue: int
    max_n: int
    max_body: int
    timeout: float
    receive_timeout: float
    keep_alive: float
    grace: float

    @property
    def is_loopback(self) -> bool:
        """Whether only programs of this machine can connect."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def parse_arguments(arguments: Sequence[str] | None = None) -> Settings:
    """The settings; a wrong command line ends the process with status 2, as argparse does."""
    parser = argparse.ArgumentParser(
        prog="xverse-server",
        description="Serve an XVERSE model with OpenAI's interface over HTTP.",
        epilog="API keys come from --api-key-file, or from the environment variable XVERSE_API_KEY.",
    )
    parser.add_argument("model", metavar="MODEL", help="Hugging Face directory or GGUF file")
    add = parser.add_argument_group("network").add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    add("--port", type=_whole(0, 65535), default=8000, help="0: a free port (default: %(default)s)")
    add("--api-key-file", type=Path, metavar="FILE", help="API keys, one a line; lines that begin with # are comments")
    add("--cors-origin", action="append", default=[], metavar="ORIGIN",
        help="origin whose pages may send requests, such as https://chat.example; may be repeated (default: none)")  # fmt: skip
    add("--allowed-host", action="append", default=[], metavar="NAME",
        help="name in the Host header that is accepted without an API key; may be repeated")  # fmt: skip
    add = parser.add_argument_group("model").add_argument
    add("--served-model-name", metavar="NAME", help="the model's name in the interface (default: that of its folder)")
    add("--quantize", metavar="TYPE", help="weight type: none, int8, int4, ...")
    add("--kv-type", choices=("f32", "f16", "int8"), help="element type of the KV cache (default: f32)")
    add(
        "--context",
        type=_whole(1, 2**24),
        metavar="TOKENS",
        help="tokens of a prompt with its answer (default: the model's)",
    )
    add("--threads", type=_whole(1, 1024), metavar="N", help="compute threads (default: the CPUs)")
    add("--memory-limit", type=_whole(0, 2**62), metavar="BYTES", help="memory of the library (default: no limit)")
    add("--draft-model", metavar="MODEL", help="smaller model that guesses tokens; changes the speed only")
    add = parser.add_argument_group("limits").add_argument
    add(
        "--parallel",
        type=_whole(1, 1024),
        default=16,
        metavar="N",
        help="answers that run together (default: %(default)s)",
    )
    add("--queue", type=_whole(0, 65536), default=64, metavar="N",
        help="answers that may wait beyond those; then status 429 (default: %(default)s)")  # fmt: skip
    add("--max-n", type=_whole(1, 128), default=16, metavar="N", help="largest n of a request (default: %(default)s)")
    add("--max-body", type=_whole(1, 2**26), default=2**20, metavar="BYTES",
        help="largest body of a request (default: %(default)s)")  # fmt: skip
    add("--timeout", type=_seconds, default=600, help="seconds for a request; 0: no limit (default: %(default)s)")
    add("--receive-timeout", type=_seconds, default=30, metavar="SECONDS",
        help="seconds to receive the head of a request, and then its body (default: %(default)s)")  # fmt: skip
    add("--keep-alive", type=_seconds, default=15, metavar="SECONDS",
        help="seconds between comments in a stream that is silent; 0: none (default: %(default)s)")  # fmt: skip
    add("--grace", type=_seconds, default=30, metavar="SECONDS",
        help="seconds that running answers have after SIGTERM (default: %(default)s)")  # fmt: skip
    found = parser.parse_args(arguments)
    try:
        keys = _keys(found.api_key_file)
    except (OSError, ValueError) as error:
        parser.error(f"--api-key-file: {error}")
    return Settings(
        model=found.model, name=found.served_model_name, host=found.host, port=found.port, keys=keys,
        cors_origins=tuple(found.cors_origin), allowed_hosts=tuple(name.lower() for name in found.allowed_host),
        quantize=found.quantize, kv_type=found.kv_type, context=found.context, threads=found.threads,
        memory_limit=found.memory_limit, draft_model=found.draft_model, parallel=found.parallel, queue=found.queue,
        max_n=found.max_n, max_body=found.max_body, timeout=found.timeout, receive_timeout=found.receive_timeout,
        keep_alive=found.keep_alive, grace=found.grace,
    )  # fmt: skip


def _keys(path: Path | None) -> tuple[str, ...]:
    """The keys of the file, or that of the environment.

    Raises:
        ValueError: a file without a key, which must not mean that none is needed.
    """
    if path is None:
        key = os.environ.get("XVERSE_API_KEY", "").strip()
        return (key,) if key else ()
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    keys = tuple(line for line in lines if line and not line.startswith("#"))
    if not keys:
        raise ValueError(f"{path} has no key, expected one a line")
    return keys


def _whole(low: int, high: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = low - 1
        if not low <= number <= high:
            raise argparse.ArgumentTypeError(f"{text!r}, expected a whole number from {low} to {high}")
        return number

    return read


def _seconds(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1
    if not 0 <= number <= 86400:
        raise argparse.ArgumentTypeError(f"{text!r}, expected seconds from 0 to 86400")
    return number
