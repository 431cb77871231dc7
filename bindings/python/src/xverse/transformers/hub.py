"""Finds models by a path or by their name on the Hugging Face hub, in the local cache; nothing is downloaded."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import NotFoundError

# Arguments of every from_pretrained that choose what is downloaded, or how; only the first two mean something here.
HUB_ARGUMENTS = frozenset(
    {
        "cache_dir", "revision", "trust_remote_code", "local_files_only", "force_download", "resume_download", "proxies",
        "token", "use_auth_token", "code_revision", "subfolder", "mirror",
    }
)  # fmt: skip


def cache_directory(cache_dir: str | os.PathLike[str] | None = None) -> Path:
    """The hub's cache, where huggingface_hub has it."""
    if cache_dir is not None:
        return Path(cache_dir)
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "TRANSFORMERS_CACHE"):
        if os.environ.get(name):
            return Path(os.environ[name])
    if os.environ.get("HF_HOME"):
        return Path(os.environ["HF_HOME"], "hub")
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(home, "huggingface", "hub")


def resolve(name: str | os.PathLike[str], arguments: Mapping[str, Any]) -> str:
    """The directory or file of a model.

    Raises:
        NotFoundError: `name` is neither a path nor in the cache.
    """
    path = os.fspath(name)
    if os.path.exists(path):
        return path
    cache = cache_directory(arguments.get("cache_dir"))
    repository = cache / ("models--" + path.replace("/", "--"))
    if path.count("/") <= 1 and ".." not in path and repository.is_dir():
        revision = arguments.get("revision") or "main"
        reference = repository / "refs" / revision
        commit = reference.read_text(encoding="ascii").strip() if reference.is_file() else revision
        snapshot = repository / "snapshots" / commit
        if (snapshot / "config.json").exists() or (snapshot / "tokenizer.json").exists():
            return str(snapshot)
        raise NotFoundError(f"{repository}: no snapshot of revision {revision} with a config.json, expected {snapshot}")
    raise NotFoundError(
        f"{path}: neither a directory or file nor a model in the Hugging Face cache {cache}; nothing is downloaded: get it "
        "with `hf download` and give its path"
    )


def reject_unknown(function: str, unknown: set[str]) -> None:
    """A TypeError when there are keyword arguments without a meaning."""
    if unknown:
        raise TypeError(f"{function} got an unexpected keyword argument {', '.join(map(repr, sorted(unknown)))}")
