"""What a run knows of each question, as a line of JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .data import LETTERS
from .encoding import Encoded
from .question import Protocol, Verdict
from .scoring import Scored

if TYPE_CHECKING:
    from typing_extensions import TypeAlias

    from ..result import Result

Record: TypeAlias = "dict[str, Any]"
"""The keys that docs/evaluation.md lists."""


def scored_record(scored: Scored, protocol: Protocol) -> Record:
    """The record of a question whose candidates were scored."""
    encoded = scored.encoded
    question = encoded.question
    record = common_record(encoded)
    rows: list[Record] = []
    for text, ids, logprob in zip(question.candidates, encoded.candidates, scored.logprobs):
        rows.append({"text": text, "n_tokens": len(ids), "logprob": round(logprob, 6)})
    record["candidates"] = rows
    if protocol.scoring == "ppl":
        totals = [len(encoded.ids) + len(ids) for ids in encoded.candidates]
        sums = [scored.nll - logprob for logprob in scored.logprobs]
        losses = [nll / total for nll, total in zip(sums, totals)]
        for row, total, nll, loss in zip(rows, totals, sums, losses):
            row.update(total_tokens=total, nll_sum=round(nll, 6), loss=round(loss, 8))
        pred, margin = best([-loss for loss in losses])
        record["pred_cond"], margin_cond = best(scored.logprobs)
        record["margin_cond"] = round(margin_cond, 6)
        record["margin_loss"] = round(margin, 8)
        margin *= max(totals)
    else:
        pred, margin = best(scored.logprobs)
    if protocol.normalized:
        lengths = {
            "token": [len(ids) for ids in encoded.candidates],
            "char": [len(text.strip()) for text in question.candidates],
            "byte": [len(text.strip().encode("utf-8", "surrogatepass")) for text in question.candidates],
        }
        for unit, counts in lengths.items():
            values = [logprob / max(count, 1) for logprob, count in zip(scored.logprobs, counts)]
            record[f"pred_per_{unit}"], value = best(values)
            record[f"margin_per_{unit}"] = round(value, 8)
    record.update(pred=pred, margin=round(margin, 6), gold=question.gold, correct=pred == question.gold)
    return record


def generated_record(encoded: Encoded, result: Result, verdict: Verdict) -> Record:
    """The record of a question that was answered in text."""
    record = common_record(encoded)
    record.update(
        text=result.text, n_new=len(result.tokens), ids=list(result.tokens), ended_by=result.finish_reason,
        pred=verdict.pred, gold=encoded.question.gold, correct=verdict.correct, **verdict.details,
    )  # fmt: skip
    return record


def common_record(encoded: Encoded) -> Record:
    question = encoded.question
    record: Record = {
        "id": question.id,
        "subject": question.subject,
        "category": list(question.categories),
        "shots": len(encoded.kept),
        "shots_kept": list(encoded.kept),
        "shots_dropped": len(question.shots) - len(encoded.kept),
        "prompt_sha256": encoded.prompt_sha256,
        "prompt_tokens": encoded.prompt_tokens,
        "context_tokens": encoded.context_tokens,
        "left_truncated": encoded.left_truncated,
    }
    if question.weight != 1:
        record["weight"] = question.weight
    if question.name is not None:
        record["name"] = question.name
    return record


def best(values: Sequence[float]) -> tuple[str, float]:
    """The letter of the greatest value, the first one on a tie, and how far the second greatest is behind."""
    index = max(range(len(values)), key=values.__getitem__)
    others = [value for place, value in enumerate(values) if place != index]
    return LETTERS[index], values[index] - max(others)
