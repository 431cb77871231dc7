"""libxverse for Python: XVERSE language models on CPUs.

    from xverse import Model

    model = Model("XVERSE-7B-Chat")
    session = model.session()
    for piece in session.chat([("user", "Hello!")], max_new_tokens=100):
        print(piece, end="", flush=True)

Options are keyword arguments with the names of xverse.h, those of sampling being Hugging Face's. Every failure raises
an `XverseError` that is also what Python programs catch: a missing model is a FileNotFoundError. Ctrl-C ends what is
computed or loaded within a moment, and so does the end of the interpreter.
"""

from __future__ import annotations

import json
from typing import Any

from . import errors
from ._library import lib
from .aio import AsyncAnswer, AsyncJSONAnswer, AsyncScheduler
from .cancel import Cancel
from .checkpoint import MemoryEstimate, convert, estimate, inspect
from .errors import XverseError
from .model import Model, ModelInfo, Perplexity
from .options import OptionInfo, describe_options
from .result import Result, Stats
from .runtime import Runtime, default_runtime
from .sampler import Sampler
from .sampling import Sampling
from .scheduler import Event, Scheduler
from .session import Session
from .source import Source
from .stream import Stream
from .tokenizer import Detokenizer, Tokenizer
from .transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

__all__ = [
    "AsyncAnswer",
    "AsyncJSONAnswer",
    "AsyncScheduler",
    "AutoModelForCausalLM",
    "AutoTokenizer",
    "Cancel",
    "Detokenizer",
    "Event",
    "GenerationConfig",
    "MemoryEstimate",
    "Model",
    "ModelInfo",
    "OptionInfo",
    "Perplexity",
    "Result",
    "Runtime",
    "Sampler",
    "Sampling",
    "Scheduler",
    "Session",
    "Source",
    "Stats",
    "Stream",
    "Tokenizer",
    "XverseError",
    "build_info",
    "convert",
    "default_runtime",
    "describe_options",
    "errors",
    "estimate",
    "inspect",
    "version",
]


def version() -> str:
    """The library's version, "major.minor.patch".

    Raises:
        ImportError: there is no library; see `XVERSE_LIBRARY`.
    """
    text: bytes = lib.xverse_version()
    return text.decode()


def build_info() -> dict[str, Any]:
    """What the library is: version, commit, compiler, kernels, the kernel that this CPU gets, threading and why."""
    found: dict[str, Any] = json.loads(lib.xverse_build_info())
    return found
