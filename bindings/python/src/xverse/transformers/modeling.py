"""AutoModelForCausalLM: a model with transformers' generate() and XVERSE's chat() and quantize()."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ..checkpoint import inspect
from ..errors import NotFoundError, UnsupportedError
from ..model import Model
from ..options import ModelOptions, RuntimeOptions
from ..scheduler import Event, Scheduler
from ..stream import Stream
from .configuration import GenerationConfig
from .hub import HUB_ARGUMENTS, reject_unknown, resolve
from .tensors import is_cpu, make, to_rows, warn_of_cpu
from .tokenization import XverseTokenizer

# transformers' default, where neither the model nor the caller names a length.
DEFAULT_MAX_LENGTH = 20
_WITHOUT_MEANING = HUB_ARGUMENTS | {
    "torch_dtype", "dtype", "device_map", "low_cpu_mem_usage", "attn_implementation", "use_safetensors", "use_cache",
    "offload_folder", "offload_state_dict", "offload_buffers", "max_memory", "variant", "ignore_mismatched_sizes",
    "output_loading_info", "use_flash_attention_2", "weights_only", "tp_plan", "empty_init",
}  # fmt: skip
_OPTIONS = {*ModelOptions.__annotations__, *RuntimeOptions.__annotations__, "runtime", "progress", "cancel"} - {
    "vocab_only"
}


class AutoModelForCausalLM:
    """`AutoModelForCausalLM.from_pretrained(path)` is a model."""

    @staticmethod
    def from_pretrained(pretrained_model_name_or_path: str | os.PathLike[str], **arguments: Any) -> XverseForCausalLM:
        """Loads a model.

        Args:
            pretrained_model_name_or_path: a Hugging Face directory, a GGUF file, or the name of a model that is in the
                local Hugging Face cache.
            **arguments: load_in_8bit, load_in_4bit: quantizes while loading; the options of `xverse.Model`: quantize,
                threads, load, ...; revision and cache_dir for the cache. Accepted without a meaning on a CPU, whose
                kernels use the weights in the type that they are stored in: torch_dtype, dtype, device_map,
                trust_remote_code (nothing of a model is executed), low_cpu_mem_usage, attn_implementation, max_memory and
                others about devices and downloading.

        Raises:
            NotFoundError: neither a path nor in the cache. Others as `xverse.Model`. TypeError: another argument.
        """
        path = resolve(pretrained_model_name_or_path, arguments)
        options = {key: value for key, value in arguments.items() if key not in _WITHOUT_MEANING}
        if options.pop("quantization_config", None) is not None:
            raise UnsupportedError(
                "quantization_config is given, expected load_in_8bit, load_in_4bit or .quantize(8 or 4)"
            )
        for name, quantize in (("load_in_8bit", "int8"), ("load_in_4bit", "int4")):
            if options.pop(name, False):
                options["quantize"] = quantize
        reject_unknown("from_pretrained()", set(options) - _OPTIONS)
        return XverseForCausalLM(path, options)


class XverseForCausalLM:
    """A model as the programs of XVERSE's cards use it.

    Attributes:
        model: the `xverse.Model` that it is over.
        config: config.json's members as attributes; empty for a GGUF file.
        generation_config: the defaults of generate() and chat(), at first those of the model's files; assign another, one of
            transformers' too.
    """

    def __init__(self, path: str, options: Mapping[str, Any]) -> None:
        self.name_or_path = path
        self._options = dict(options)
        self.model = Model(path, **self._options)
        found = inspect(path, **{key: value for key, value in options.items() if key in ModelOptions.__annotations__})
        self.config = _read_config(path)
        self.generation_config = _generation_config(path, found)
        eos = found["generation"].get("eos_token_id")
        self._eos = frozenset([eos] if isinstance(eos, int) else eos or [])

    @property
    def device(self) -> Any:
        """torch.device("cpu"), or "cpu" without PyTorch."""
        try:
            import torch
        except ImportError:
            return "cpu"
        return torch.device("cpu")

    # ---- what changes nothing here ----

    def eval(self) -> XverseForCausalLM:
        """Itself: a model is always ready for inference."""
        return self

    def cuda(self, *_: Any) -> XverseForCausalLM:
        """Itself, with a warning: the library computes on the CPU."""
        warn_of_cpu()
        return self

    def to(self, *arguments: Any, **options: Any) -> XverseForCausalLM:
        """Itself, with a warning where it is to go to a GPU."""
        if not all(map(is_cpu, [*arguments, *options.values()])):
            warn_of_cpu()
        return self

    def cpu(self) -> XverseForCausalLM:
        """Itself."""
        return self

    def half(self) -> XverseForCausalLM:
        """Itself: the kernels use the weights in the type that they are stored in. So float() and bfloat16()."""
        return self

    float = bfloat16 = half

    # ---- quantization ----

    def quantize(self, bits: int) -> XverseForCausalLM:
        """Itself with 8 or 4 bits a weight: loads the model's files again, quantizing while they are read.

        Both models are in memory meanwhile. from_pretrained(..., quantize="int4") loads once, and `xverse.convert` does the
        work once and for all.

        Raises:
            ValueError: other bits. UnsupportedError: the files' weights are quantized already. Others as
            `xverse.Model`. The model stays as it is.
        """
        if bits not in (8, 4):
            raise ValueError(f"bits is {bits!r}, expected 8 or 4")
        kind = f"int{bits}"
        if self.model.info.quant.startswith(kind):
            return self
        options = {**self._options, "quantize": kind}
        model = Model(self.name_or_path, **options)
        self.model.close()
        self.model, self._options = model, options
        return self

    # ---- chat ----

    def chat(
        self,
        tokenizer: XverseTokenizer | None,
        messages: Sequence[Mapping[str, str]],
        stream: bool = False,
        generation_config: GenerationConfig | None = None,
    ) -> Any:
        """Answers a conversation as XVERSE's chat() does.

        Args:
            tokenizer: not used: the model has its own.
            messages: [{"role": "user", "content": ...}, ...]; roles as in `xverse.Session`.
            stream: returns an iterator of the answer's pieces, each only what is new.

        Returns:
            The answer's text, or the iterator.

        Raises:
            As `xverse.Session.generate`; UnsupportedError: an option of the configuration.
        """
        config = GenerationConfig.of(generation_config or self.generation_config)
        config.check()
        options = config.sampling_options()
        eos = config.eos_token_ids(self._eos)
        if eos != self._eos:
            raise UnsupportedError(
                f"eos_token_id is {sorted(eos)}, expected the model's {sorted(self._eos)}: chat() ends there"
            )
        if not stream:
            return self.model.generate(messages, **options).text
        answer: Stream = self.model.chat(messages, **options)
        return answer

    # ---- generate ----

    def generate(
        self,
        inputs: Any = None,
        generation_config: GenerationConfig | None = None,
        *,
        input_ids: Any = None,
        attention_mask: Any = None,
        streamer: Any = None,
        **options: Any,
    ) -> Any:
        """Continues one prompt or several, together.

        Args:
            inputs, input_ids: token ids [prompts, tokens] or [tokens]: a torch tensor, a numpy array, or lists.
            attention_mask: 0 where a prompt has padding; default: padding at its beginning is padding.
            streamer: gets the prompt and then each token, as in transformers; one prompt only.
            **options: members of `GenerationConfig`, which replace those of generation_config.

        Returns:
            Prompts with what was generated, the end-of-sequence token included, [prompts * num_return_sequences, tokens],
            padded at the end: of the type that the prompts came in.

        Raises:
            ValueError: an option that does not exist, which is named; no prompt; nothing left of max_length.
            UnsupportedError: an option of transformers that this library does not have. ContextFullError, and others as
            `xverse.Session.generate`.
        """
        prompts = inputs if inputs is not None else input_ids
        if prompts is None:
            raise ValueError("generate() got no prompt, expected inputs or input_ids")
        config = GenerationConfig.of(generation_config or self.generation_config).updated(options)
        config.check()
        rows, kind = to_rows(prompts, "the inputs")
        stripped = self._without_padding(rows, attention_mask, config)
        if streamer is not None and (len(rows) != 1 or config.num_return_sequences not in (None, 1)):
            raise ValueError(f"streamer with {len(rows)} prompts, expected one prompt and one answer")
        # As in transformers, max_length counts the padding too.
        lengths = [_new_tokens(config, len(row)) for row in rows]
        answers = _Batch(self, config, stripped, lengths, kind, streamer).answers()
        repeated = [row for row in rows for _ in range(config.num_return_sequences or 1)]
        full = [[*row, *answer] for row, answer in zip(repeated, answers)]
        if len({len(row) for row in full}) > 1:
            pad = self._pad(config)
            longest = max(map(len, full))
            full = [[*row, *[pad] * (longest - len(row))] for row in full]
        return make(full, kind, prompts if kind == "pt" and hasattr(prompts, "device") else None)

    def _pad(self, config: GenerationConfig) -> int:
        for token in (config.pad_token_id, self.model.tokenizer.pad, *sorted(config.eos_token_ids(self._eos))):
            if token is not None:
                return int(token)
        return 0

    def _without_padding(self, rows: list[list[int]], attention_mask: Any, config: GenerationConfig) -> list[list[int]]:
        if attention_mask is not None:
            masks, _ = to_rows(attention_mask, "the attention_mask")
            if [*map(len, masks)] != [*map(len, rows)]:
                raise ValueError(
                    f"attention_mask has rows of {[*map(len, masks)]}, expected {[*map(len, rows)]} as inputs"
                )
            return [[token for token, kept in zip(row, mask) if kept] for row, mask in zip(rows, masks)]
        pad = config.pad_token_id if config.pad_token_id is not None else self.model.tokenizer.pad
        if pad is None or pad in config.eos_token_ids(self._eos):
            return rows
        starts = [next((i for i, token in enumerate(row) if token != pad), len(row)) for row in rows]
        return [row[start:] for row, start in zip(rows, starts)]


class _Batch:
    """The answers to a few prompts, from a scheduler of their own."""

    def __init__(
        self,
        model: XverseForCausalLM,
        config: GenerationConfig,
        prompts: list[list[int]],
        lengths: list[int],
        kind: str | None,
        streamer: Any,
    ) -> None:
        self._model, self._prompts, self._kind, self._streamer = model.model, prompts, kind, streamer
        self._count = config.num_return_sequences or 1
        eos = config.eos_token_ids(model._eos)
        # The library knows the model's own end-of-sequence tokens; others are looked for here.
        self._ends = frozenset() if eos == model._eos else eos
        self._options = config.sampling_options()
        self._options["n"] = self._count
        if self._ends:
            self._options["ignore_eos"] = True
        self._lengths = lengths

    def answers(self) -> Iterator[list[int]]:
        """The new tokens of each answer, in order."""
        room = len(self._prompts) * self._count
        with Scheduler(self._model, max_queued_requests=max(256, room)) as scheduler:
            answers: dict[int, list[int]] = {}
            for prompt, length in zip(self._prompts, self._lengths):
                first = scheduler.submit(prompt, **{**self._options, "max_new_tokens": length})
                answers.update({number: [] for number in range(first, first + self._count)})
            if self._streamer is not None:
                self._streamer.put(make(self._prompts, self._kind or "np"))
            running = set(answers)
            while running:
                event = scheduler.next()
                if event is None or event.request_id not in running:
                    continue
                if event.error is not None:
                    raise event.error
                self._add(answers[event.request_id], event, scheduler, running)
            if self._streamer is not None:
                self._streamer.end()
        return iter(answers.values())

    def _add(self, answer: list[int], event: Event, scheduler: Scheduler, running: set[int]) -> None:
        for token in event.tokens:
            answer.append(token)
            if self._streamer is not None:
                self._streamer.put(make([token], self._kind or "np"))
            if token in self._ends:
                scheduler.cancel(event.request_id)
                running.discard(event.request_id)
                return
        if event.kind == "finished":
            running.discard(event.request_id)


def _new_tokens(config: GenerationConfig, prompt: int) -> int:
    """Most tokens to generate after a prompt of so many."""
    if config.max_new_tokens is not None:
        return int(config.max_new_tokens)
    length = config.max_length
    if length is None:
        length = DEFAULT_MAX_LENGTH
        warnings.warn(
            f"neither max_new_tokens nor max_length is set: {length} tokens in all, transformers' default", stacklevel=4
        )
    if prompt >= length:
        raise ValueError(
            f"the prompt has {prompt} tokens and max_length is {length}, expected more; set max_new_tokens"
        )
    return int(length) - prompt


def _read_config(path: str) -> SimpleNamespace:
    try:
        return SimpleNamespace(**json.loads(Path(path, "config.json").read_text(encoding="utf-8")))
    except OSError:
        return SimpleNamespace()


def _generation_config(path: str, found: Mapping[str, Any]) -> GenerationConfig:
    try:
        return GenerationConfig.from_pretrained(path)
    except NotFoundError:
        known = {key: value for key, value in found["generation"].items() if value is not None}
        return GenerationConfig(**known)
