"""Perplexity of long texts with a sliding window."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Callable

if TYPE_CHECKING:
    from ..model import Model

__all__ = ["SlidingPerplexity", "sliding_perplexity"]


@dataclass(frozen=True)
class SlidingPerplexity:
    """Attributes:
    value: exp of the mean negative log-likelihood of the scored tokens; standard_error: of it.
    n_tokens: how many were scored: all but the first.
    nll: the mean, natural logarithm. bits_per_byte: the sum, in bits, over the bytes of the text.
    """

    value: float
    standard_error: float
    n_tokens: int
    nll: float
    bits_per_byte: float


def sliding_perplexity(
    model: Model,
    text: str,
    *,
    context: int | None = None,
    stride: int | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> SlidingPerplexity:
    """Perplexity with windows of `context` tokens that begin `stride` tokens apart.

    Every token but the first is scored once, in the first window that has it, with what is before it in that window. A
    small stride gives each token a long context and costs more: about context / stride passes over the text.

    Args:
        context: tokens of a window; None: the model's n_ctx_train.
        stride: None: half of context. With stride = context the windows do not overlap.
        progress: called with tokens scored and tokens in all.

    Raises:
        ValueError: a context below 2, a stride not from 1 to context, a text of fewer than two tokens.
    """
    context = model.info.n_ctx_train if context is None else context
    if context < 2:
        raise ValueError(f"context is {context}, expected 2 or more")
    stride = context // 2 if stride is None else stride
    if not 1 <= stride <= context:
        raise ValueError(f"stride is {stride}, expected 1 to {context}, the context")
    ids = model.tokenizer.encode(text)
    if len(ids) < 2:
        raise ValueError(f"the text has {len(ids)} tokens, expected 2 or more")
    losses: list[float] = []
    with model.session(context=context) as session:
        for begin, known, end in windows(len(ids), context, stride):
            session.truncate(0)
            if known > begin:
                session.eval(ids[begin:known])
            found = session.score(ids[known:end])
            # The first token of a window has nothing before it.
            losses += [-logprob for logprob in (found if known > begin else found[1:])]
            if progress is not None:
                progress(end, len(ids))
    return from_losses(losses, len(text.encode("utf-8", "surrogatepass")))


def windows(count: int, context: int, stride: int) -> Sequence[tuple[int, int, int]]:
    """Where each window begins, where its tokens that no window before it has begin, and where it ends."""
    found, known = [], 0
    for begin in range(0, count, stride):
        end = min(begin + context, count)
        found.append((begin, known, end))
        known = end
        if end == count:
            break
    return found


def from_losses(losses: Sequence[float], n_bytes: int) -> SlidingPerplexity:
    count = len(losses)
    mean = math.fsum(losses) / count
    variance = math.fsum((loss - mean) ** 2 for loss in losses) / max(count - 1, 1)
    value = math.exp(min(mean, 700))
    return SlidingPerplexity(
        value=value,
        standard_error=value * math.sqrt(variance / count),
        n_tokens=count,
        nll=mean,
        bits_per_byte=mean * count / math.log(2) / n_bytes,
    )
