"""GenerationConfig: how generate() and chat() choose tokens."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import CorruptError, NotFoundError, UnsupportedError
from .hub import HUB_ARGUMENTS, resolve

# What generate() does, with transformers' defaults.
DEFAULTS: dict[str, Any] = {
    "max_new_tokens": None, "max_length": None, "do_sample": False, "temperature": 1.0, "top_k": 50, "top_p": 1.0,
    "min_p": None, "typical_p": 1.0, "repetition_penalty": 1.0, "stop_strings": None, "num_return_sequences": 1,
    "prompt_lookup_num_tokens": None, "eos_token_id": None, "bos_token_id": None, "pad_token_id": None,
}  # fmt: skip
# What this library adds: options of the same names in xverse.h.
EXTENSIONS = ("seed", "logit_bias", "frequency_penalty", "presence_penalty", "repeat_last_n", "deadline_ms")
# What transformers does and this library does not, with the values that ask for nothing.
NEUTRAL: dict[str, tuple[Any, ...]] = {
    "num_beams": (None, 1), "num_beam_groups": (None, 1), "penalty_alpha": (None, 0, 0.0), "min_length": (None, 0),
    "min_new_tokens": (None, 0), "no_repeat_ngram_size": (None, 0), "bad_words_ids": (None,), "force_words_ids": (None,),
    "encoder_repetition_penalty": (None, 1.0), "encoder_no_repeat_ngram_size": (None, 0), "constraints": (None,),
    "forced_bos_token_id": (None,), "forced_eos_token_id": (None,), "suppress_tokens": (None, []),
    "begin_suppress_tokens": (None, []), "sequence_bias": (None,), "guidance_scale": (None, 1, 1.0),
    "diversity_penalty": (None, 0, 0.0), "epsilon_cutoff": (None, 0, 0.0), "eta_cutoff": (None, 0, 0.0),
    "exponential_decay_length_penalty": (None,), "output_scores": (None, False), "output_logits": (None, False),
    "output_attentions": (None, False), "output_hidden_states": (None, False), "return_dict_in_generate": (None, False),
    "assistant_model": (None,), "logits_processor": (None, []), "stopping_criteria": (None, []),
    "prefix_allowed_tokens_fn": (None,), "num_assistant_tokens": (None, 5, 20), "max_time": (None,),
}  # fmt: skip
# What changes no token here.
IGNORED = frozenset(
    {
        "use_cache", "length_penalty", "early_stopping", "synced_gpus", "renormalize_logits", "remove_invalid_values",
        "low_memory", "cache_implementation", "token_type_ids", "tokenizer", "user_format", "assistant_format",
        "chat_format", "max_window_size", "transformers_version",
    }
)  # fmt: skip


class GenerationConfig:
    """Options of generation with transformers' names and defaults; see there.

    Known are max_new_tokens, max_length, do_sample, temperature (0 is greedy), top_k, top_p, min_p, typical_p,
    repetition_penalty, stop_strings, num_return_sequences, prompt_lookup_num_tokens, eos_token_id (a number or several;
    None: the model's), bos_token_id, pad_token_id; and from xverse.h seed, logit_bias, frequency_penalty,
    presence_penalty, repeat_last_n, deadline_ms. Others are kept; those that would change what is generated are an
    UnsupportedError when they are used.
    """

    def __init__(self, **options: Any) -> None:
        self.__dict__.update({name: None for name in EXTENSIONS})
        self.__dict__.update(DEFAULTS)
        self.__dict__.update(options)

    def __getattr__(self, name: str) -> Any:
        # Only for names that are not set; declared so that type checkers know the others.
        raise AttributeError(f"GenerationConfig has no {name!r}")

    @classmethod
    def from_pretrained(cls, pretrained_model_name: str | os.PathLike[str], **arguments: Any) -> GenerationConfig:
        """Reads generation_config.json of a model's directory; other arguments replace what it says.

        Raises:
            NotFoundError: there is no such model or file. CorruptError: the file is no JSON object.
        """
        path = Path(resolve(pretrained_model_name, arguments), "generation_config.json")
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except OSError:
            raise NotFoundError(f"{path}: No such file or directory") from None
        except ValueError as error:
            raise CorruptError(f"{path}: no JSON: {error}") from None
        if not isinstance(values, dict):
            raise CorruptError(f"{path}: {type(values).__name__} found, expected an object")
        replaced = {key: value for key, value in arguments.items() if key not in HUB_ARGUMENTS}
        return cls(**{**values, **replaced})

    @classmethod
    def from_dict(cls, config_dict: Mapping[str, Any], **arguments: Any) -> GenerationConfig:
        """From the options in a dict; other arguments replace what it says."""
        return cls(**{**config_dict, **arguments})

    @classmethod
    def of(cls, config: Any) -> GenerationConfig:
        """A configuration of transformers' as one of these; one of these stays as it is."""
        return config if isinstance(config, cls) else cls.from_dict(config.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """The options as a dict."""
        return dict(self.__dict__)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GenerationConfig) and self.__dict__ == other.__dict__

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        said = {name: value for name, value in self.__dict__.items() if value is not None}
        return f"GenerationConfig({', '.join(f'{name}={value!r}' for name, value in said.items())})"

    # ---- for generate() and chat() ----

    def updated(self, options: Mapping[str, Any]) -> GenerationConfig:
        """A copy with other options.

        Raises:
            ValueError: an option that neither transformers nor this library has; its name is in the text.
        """
        unknown = [name for name in options if not {name} & {*DEFAULTS, *EXTENSIONS, *NEUTRAL, *IGNORED}]
        if unknown:
            raise ValueError(f"generate() has no option {', '.join(map(repr, unknown))} (note: typos in the arguments)")
        return GenerationConfig(**{**self.__dict__, **options})

    def check(self) -> None:
        """An UnsupportedError when an option asks for something that this library does not do."""
        for name, neutral in NEUTRAL.items():
            value = self.__dict__.get(name)
            if not any(value is other or value == other for other in neutral):
                raise UnsupportedError(f"{name} is {value!r}, expected {neutral[-1]!r}: this library does nothing else")

    def eos_token_ids(self, default: frozenset[int]) -> frozenset[int]:
        """The tokens that end generation."""
        eos = self.eos_token_id
        if eos is None:
            return default
        if hasattr(eos, "tolist"):
            eos = eos.tolist()
        return frozenset(eos) if isinstance(eos, (list, tuple, set, frozenset)) else frozenset((int(eos),))

    def sampling_options(self) -> dict[str, Any]:
        """Options of kind SAMPLING, all that matter, so that nothing comes from the model's file."""
        options = {name: self.__dict__[name] for name in EXTENSIONS if self.__dict__[name] is not None}
        greedy = not self.do_sample or self.temperature == 0
        options.update(
            temperature=0 if greedy else _or(self.temperature, 1.0),
            do_sample=not greedy,
            top_k=_or(self.top_k, 0),
            top_p=_or(self.top_p, 1.0),
            min_p=_or(self.min_p, 0.0),
            typical_p=_or(self.typical_p, 1.0),
            repetition_penalty=_or(self.repetition_penalty, 1.0),
            prompt_lookup_num_tokens=_or(self.prompt_lookup_num_tokens, 0),
        )
        if self.stop_strings:
            options["stop"] = self.stop_strings
        if self.max_new_tokens is not None:
            options["max_new_tokens"] = self.max_new_tokens
        return options


def _or(value: Any, default: Any) -> Any:
    return default if value is None or (isinstance(value, float) and math.isnan(value)) else value
