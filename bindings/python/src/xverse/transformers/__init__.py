"""The calls of Hugging Face's transformers that XVERSE's model cards use, over this library.

    from xverse import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

in place of the import from transformers; what follows in those programs stays as it is.
"""

from __future__ import annotations

from .configuration import GenerationConfig
from .modeling import AutoModelForCausalLM, XverseForCausalLM
from .tokenization import AutoTokenizer, BatchEncoding, XverseTokenizer

__all__ = [
    "AutoModelForCausalLM",
    "AutoTokenizer",
    "BatchEncoding",
    "GenerationConfig",
    "XverseForCausalLM",
    "XverseTokenizer",
]
