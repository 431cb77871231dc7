"""Log-probabilities of candidates; what prompts have in common is evaluated once, the rest of many in shared passes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..session import Session
from .encoding import Encoded, common

if TYPE_CHECKING:
    from typing_extensions import TypeAlias

    from ..model import Model

__all__ = ["Scored", "Scorer"]

# A prefix is evaluated on its own when that saves so many tokens; a pass with few tokens costs as much as one with more.
_LEAST_SAVED = 64
# Prefixes inside prefixes.
_MOST_LEVELS = 16
# What one shared pass evaluates at most.
_BATCH_TOKENS = 512
_BATCH_SESSIONS = 16
_BATCH_ANSWERS = 32


@dataclass(frozen=True)
class Scored:
    """What the model says to a question.

    Attributes:
        logprobs: of each candidate, the sum over its tokens, natural logarithm.
        nll: negative log-likelihood of what comes before the candidates; 0 unless it was asked for.
        greedy: whether each candidate is what greedy sampling would write; False unless that was asked for.
    """

    encoded: Encoded
    logprobs: list[float]
    nll: float
    greedy: list[bool]


class Scorer:
    """Scores questions of one model.

    Args:
        context: most tokens of a prompt with its candidate.
        whole: the loss of the prompt is wanted too.
        greedy: so is whether greedy sampling would write the candidates.
    """

    def __init__(self, model: Model, context: int, whole: bool = False, greedy: bool = False) -> None:
        self.model = model
        self.context = context
        self.whole = whole
        self.greedy = greedy

    def score(self, questions: Sequence[Encoded]) -> Iterator[Scored]:
        """The scores, in the order that shares most: of the prompts' ids."""
        ordered = sorted(questions, key=lambda each: each.ids)
        if ordered:
            with self.model.session(context=self.context) as session:
                yield from self._group(session, 0, 0.0, ordered, _MOST_LEVELS)

    def _group(
        self, session: Session, depth: int, nll: float, group: Sequence[Encoded], levels: int
    ) -> Iterator[Scored]:
        """Scores prompts in order, all of which begin with the `depth` ids in the session."""
        # At least one id is left for each prompt, whose logits are wanted.
        shared = min(common(group[0].ids, group[-1].ids), min(len(each.ids) for each in group) - 1)
        if len(group) > 1 and (shared - depth) * (len(group) - 1) >= _LEAST_SAVED:
            nll += self._append(session, group[0].ids[depth:shared])
            depth = shared
        single: list[Encoded] = []
        start = 0
        while start < len(group):
            end = start + 1
            if levels:
                while end < len(group) and self._shares(group[end - 1], group[end], depth):
                    end += 1
            if end - start > 1:
                with session.fork() as fork:
                    yield from self._group(fork, depth, nll, group[start:end], levels - 1)
            else:
                single.append(group[start])
                if self._is_full(single, depth):
                    yield from self._leaves(session, depth, nll, single)
                    single = []
            start = end
        yield from self._leaves(session, depth, nll, single)

    @staticmethod
    def _shares(left: Encoded, right: Encoded, depth: int) -> bool:
        return common(left.ids, right.ids) - depth >= _LEAST_SAVED

    @staticmethod
    def _is_full(single: Sequence[Encoded], depth: int) -> bool:
        return len(single) >= _BATCH_SESSIONS or sum(len(each.ids) - depth for each in single) >= _BATCH_TOKENS

    def _append(self, session: Session, ids: Sequence[int]) -> float:
        if not self.whole:
            session.eval(ids)
            return 0.0
        return -math.fsum(session.score(ids))

    def _leaves(self, session: Session, depth: int, nll: float, leaves: Sequence[Encoded]) -> Iterator[Scored]:
        forks = [session.fork() for _ in leaves]
        try:
            if self.whole:
                losses = [self._append(fork, leaf.ids[depth:]) for fork, leaf in zip(forks, leaves)]
            else:
                losses = [0.0] * len(leaves)
                Session.eval_batch(forks, [leaf.ids[depth:] for leaf in leaves])
            found = candidates(forks, [leaf.candidates for leaf in leaves], self.greedy)
            for leaf, loss, scores in zip(leaves, losses, found):
                yield Scored(leaf, [score for score, _ in scores], nll + loss, [greedy for _, greedy in scores])
        finally:
            for fork in forks:
                fork.close()


Score: TypeAlias = "tuple[float, bool]"
"""A log-probability, and whether greedy sampling would write that."""


def candidates(
    sessions: Sequence[Session], answers: Sequence[Sequence[Sequence[int]]], greedy: bool
) -> list[list[Score]]:
    """The score of each answer after what its session holds; the greedy flags are right only where they are asked for."""
    found: list[list[Score]] = []
    rest: list[tuple[int, int]] = []
    for place, (session, each) in enumerate(zip(sessions, answers)):
        logprobs, best = next_logprobs(session, [answer[0] for answer in each if answer])
        found.append([(logprobs[answer[0]], answer[0] == best) if answer else (0.0, True) for answer in each])
        rest += [(place, number) for number, answer in enumerate(each) if len(answer) > 1]
    for start in range(0, len(rest), _BATCH_ANSWERS):
        chunk = rest[start : start + _BATCH_ANSWERS]
        forks = [sessions[place].fork() for place, _ in chunk]
        try:
            first = [found[place][number] for place, number in chunk]
            long = [answers[place][number] for place, number in chunk]
            # A pass for each place in all answers, or a pass for each answer: whichever are fewer.
            if max(map(len, long)) <= len(long):
                scores = place_by_place(forks, long, first)
            else:
                scores = [one(fork, answer, score, greedy) for fork, answer, score in zip(forks, long, first)]
        finally:
            for fork in forks:
                fork.close()
        for (place, number), score in zip(chunk, scores):
            found[place][number] = score
    return found


def place_by_place(
    sessions: Sequence[Session], answers: Sequence[Sequence[int]], first: Sequence[Score]
) -> list[Score]:
    """The scores of answers whose first tokens have these, a shared pass for each place."""
    scores = list(first)
    for place in range(1, max(map(len, answers))):
        active = [index for index, answer in enumerate(answers) if len(answer) > place]
        Session.eval_batch([sessions[index] for index in active], [[answers[index][place - 1]] for index in active])
        for index in active:
            token = answers[index][place]
            logprobs, best = next_logprobs(sessions[index], [token])
            total, is_greedy = scores[index]
            scores[index] = (total + logprobs[token], is_greedy and token == best)
    return scores


def one(session: Session, answer: Sequence[int], first: Score, greedy: bool) -> Score:
    """The score of one answer whose first token has this one."""
    if greedy and first[1]:
        return step_by_step(session, answer, first[0])
    total = math.fsum(session.score(answer[:-1]))
    return total + next_logprobs(session, answer[-1:])[0][answer[-1]], False


def step_by_step(session: Session, answer: Sequence[int], total: float) -> tuple[float, bool]:
    """The same of an answer whose first token is the most probable one, looking at each place."""
    for place in range(1, len(answer)):
        session.eval(answer[place - 1 : place])
        logprobs, best = next_logprobs(session, answer[place : place + 1])
        total += logprobs[answer[place]]
        if best != answer[place]:
            rest = answer[place:]
            if len(rest) > 1:
                scores = session.score(rest[:-1])
                total += math.fsum(scores[1:]) + next_logprobs(session, rest[-1:])[0][rest[-1]]
            return total, False
    return total, True


def next_logprobs(session: Session, tokens: Sequence[int]) -> tuple[dict[int, float], int]:
    """The log-probabilities of tokens that may come next, and the most probable token, the first one on a tie."""
    (best, value), = session.top_logprobs(1)  # fmt: skip
    logits = session.logits()
    # A logit and its log-probability differ by the same number everywhere.
    shift = value - float(logits[best])
    return {token: float(logits[token]) + shift for token in tokens}, best
