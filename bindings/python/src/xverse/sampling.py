"""How tokens are chosen: sampling options."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict

from ._handle import Handle
from .options import make_options

if TYPE_CHECKING:
    from typing_extensions import TypeAlias

__all__ = ["Sampling"]

Stop: TypeAlias = "str | Sequence[str]"
LogitBias: TypeAlias = "Mapping[int, float]"


@dataclass(frozen=True)
class Sampling:
    """Sampling options; names and meaning are Hugging Face's. None means the model's default.

    The defaults come from the model's generation_config.json, and where that says nothing from transformers'
    GenerationConfig: greedy, and with `do_sample` temperature 1 and top_k 50. Without `max_new_tokens` generation goes on
    until the context is full. Every function that takes a Sampling takes its members as keyword arguments too.

    Attributes:
        do_sample: draw from the distribution instead of taking the most probable token.
        temperature: divides the logits; 0 is greedy, above 0 also sets do_sample.
        top_k, top_p, min_p, typical_p: 0, 1, 0 and 1 switch them off.
        repetition_penalty: over prompt and output; 1 is off.
        repeat_last_n: how many last tokens repetition_penalty looks at; 0: all.
        frequency_penalty, presence_penalty: OpenAI's, over the generated tokens; 0 is off.
        seed: of the random numbers; -1: from the system.
        max_new_tokens: most tokens to generate; 0: prefill only.
        stop: a text, or several, before the first of which generation ends.
        logit_bias: added to the logits of these token ids; -inf: never.
        ignore_eos: end-of-sequence tokens do not end generation.
        logprobs: also return the log-probability of every generated token.
        deadline_ms: end generation after this time, in milliseconds; 0: none.
        n: of a scheduler: answers to the prompt.
        priority: of a scheduler: lower numbers go first.
        prompt_lookup_num_tokens: most tokens to guess from the text so far, at most 64; 0 is off.
        num_assistant_tokens: most tokens that a draft model guesses, at most 64; 0 is off.
    """

    do_sample: bool | None = None
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    typical_p: float | None = None
    repetition_penalty: float | None = None
    repeat_last_n: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    seed: int | None = None
    max_new_tokens: int | None = None
    stop: Stop | None = None
    logit_bias: LogitBias | None = None
    ignore_eos: bool | None = None
    logprobs: bool | None = None
    deadline_ms: int | None = None
    n: int | None = None
    priority: int | None = None
    prompt_lookup_num_tokens: int | None = None
    num_assistant_tokens: int | None = None


class SamplingOptions(TypedDict, total=False):
    """The members of `Sampling` as keyword arguments."""

    do_sample: bool | None
    temperature: float | None
    top_k: int | None
    top_p: float | None
    min_p: float | None
    typical_p: float | None
    repetition_penalty: float | None
    repeat_last_n: int | None
    frequency_penalty: float | None
    presence_penalty: float | None
    seed: int | None
    max_new_tokens: int | None
    stop: Stop | None
    logit_bias: LogitBias | None
    ignore_eos: bool | None
    logprobs: bool | None
    deadline_ms: int | None
    n: int | None
    priority: int | None
    prompt_lookup_num_tokens: int | None
    num_assistant_tokens: int | None


def sampling_options(sampling: Sampling | None, values: Mapping[str, Any]) -> Handle:
    """An options object of a Sampling, with what keyword arguments set in its place."""
    members = {} if sampling is None else {f.name: getattr(sampling, f.name) for f in dataclasses.fields(sampling)}
    members.update(values)
    if isinstance(members.get("stop"), str):
        members["stop"] = [members["stop"]]
    return make_options("sampling", members)
