"""Questions as token ids: which shots fit, where the candidates begin, what is cut."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import ContextFullError
from .question import Protocol, Question

if TYPE_CHECKING:
    from ..model import Model

__all__ = ["Encoded", "Encoder"]


@dataclass(frozen=True)
class Encoded:
    """A question as it is evaluated.

    Attributes:
        kept: which shots fitted.
        prompt_sha256: of the text up to where the candidate begins, in UTF-8.
        prompt_tokens: of that text.
        context_tokens: where the candidates' ids begin, before anything is cut.
        left_truncated: how many ids were cut on the left.
        ids: what all candidates have in common, cut.
        candidates: the ids of each candidate.
    """

    question: Question
    kept: tuple[int, ...]
    prompt_sha256: str
    prompt_tokens: int
    context_tokens: int
    left_truncated: int
    ids: list[int]
    candidates: list[list[int]]


class Encoder:
    """Makes token ids of questions.

    Args:
        context: most tokens of a prompt with its answer.
        chat: the prompt is a message of the user, and the candidate the beginning of the answer.
    """

    def __init__(self, model: Model, protocol: Protocol, context: int, chat: bool = False) -> None:
        self.model = model
        self.protocol = protocol
        self.context = context
        self.chat = chat

    def encode(self, question: Question) -> Encoded:
        """Drops shots until the question fits, and cuts it on the left when even without shots it does not."""
        choices: list[tuple[int, ...] | None]
        if self.protocol.fit == "longest":
            choices = [self._without_longest(question)]
        else:
            choices = [tuple(range(count)) for count in range(len(question.shots), -1, -1)]
        found = None
        for kept in choices:
            text = question.item(0) if kept is None else question.prompt(kept)
            found = self._ids(text, question.candidates)
            if found is None:
                continue
            whole, shared, candidates = found
            answer = max(map(len, candidates)) - 1 if candidates else self.protocol.max_new_tokens
            if shared + answer <= self.context:
                break
        if found is None:
            raise ContextFullError(f"{question.id}: the message alone is longer than the context")
        cut = max(0, shared + answer - self.context)
        if shared - cut < 1:
            raise ContextFullError(f"{question.id}: the answer needs {answer} tokens, the context has {self.context}")
        return Encoded(
            question=question,
            kept=kept or (),
            prompt_sha256=hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest(),
            prompt_tokens=len(whole),
            context_tokens=shared,
            left_truncated=cut,
            ids=whole[cut:shared],
            candidates=candidates,
        )

    def _ids(self, text: str, answers: Sequence[str]) -> tuple[list[int], int, list[list[int]]] | None:
        """The ids of a text, how many of them every candidate leaves as they are, and the candidates' ids behind those."""
        encode = self.model.tokenizer.encode
        if self.chat:
            try:
                whole = self.model.prompt_tokens([("user", text)])
            except ContextFullError:
                return None
            # The template encodes an answer on its own.
            return whole, len(whole), [encode(answer.strip()) for answer in answers]
        whole = encode(text)
        full = [encode(text + answer) for answer in answers]
        shared = min((common(whole, ids) for ids in full), default=len(whole))
        return whole, shared, [ids[shared:] for ids in full]

    def _without_longest(self, question: Question) -> tuple[int, ...] | None:
        """CMMLU's own rule, with tokens counted piece by piece; None: the question alone, without the head."""
        encode = self.model.tokenizer.encode
        room = self.context - len(encode(question.head)) - len(encode(question.item(0)))
        if room < 0:
            return None
        lengths = {index: len(encode(shot)) for index, shot in enumerate(question.shots)}
        while lengths and sum(lengths.values()) >= room:
            longest = max(lengths.values())
            lengths = {index: length for index, length in lengths.items() if length < longest}
        return tuple(lengths)


def common(left: Sequence[int], right: Sequence[int]) -> int:
    """How many ids at the beginning are equal."""
    limit = min(len(left), len(right))
    if left[:limit] == right[:limit]:
        return limit
    low, high = 0, limit
    while high - low > 1:  # equal up to low, different up to high
        middle = (low + high) // 2
        if left[low:middle] == right[low:middle]:
            low = middle
        else:
            high = middle
    return low
