"""Accuracies with their standard errors, from records."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from .records import Record

__all__ = ["Accuracy", "Summary", "summarize"]


@dataclass(frozen=True)
class Accuracy:
    """A share of right answers.

    Attributes:
        correct, n: right answers, questions; points where questions have a weight.
        value: the share. standard_error: of it.
    """

    correct: float
    n: float
    value: float
    standard_error: float


@dataclass(frozen=True)
class Summary:
    """The accuracies of a task.

    Attributes:
        micro: over all questions.
        subjects: mean over the subjects. categories: mean over the categories. weighted: share of the points.
        by_subject, by_category: micro and, of a category, subjects.
        others: micro by other rules, such as pred_cond.
        shortened: prompts for which shots were dropped; truncated: prompts cut on the left.
    """

    micro: Accuracy
    subjects: Accuracy
    categories: Accuracy
    weighted: Accuracy
    by_subject: dict[str, Accuracy]
    by_category: dict[str, dict[str, Accuracy]]
    others: dict[str, Accuracy]
    shortened: int
    truncated: int

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def summarize(records: Sequence[Record]) -> Summary:
    """The summary of a task's records, of which there is at least one."""
    by_subject = {name: share(rows) for name, rows in groups(records, lambda record: [record["subject"]]).items()}
    by_category = {}
    for name, rows in groups(records, lambda record: record["category"]).items():
        subjects = groups(rows, lambda record: [record["subject"]])
        by_category[name] = {"micro": share(rows), "subjects": mean([share(each) for each in subjects.values()])}
    others = {}
    for rule in ("pred_cond", "pred_per_token", "pred_per_char", "pred_per_byte"):
        if all(rule in record for record in records):
            others[rule] = share([{"correct": record[rule] == record["gold"]} for record in records])
    for rule in [key for key in records[0] if key.startswith("correct_")]:
        if all(rule in record for record in records):
            others[rule] = share([{"correct": record[rule]} for record in records])
    micro = share(records)
    return Summary(
        micro=micro,
        subjects=mean(list(by_subject.values())),
        categories=mean([each["micro"] for each in by_category.values()]) if by_category else micro,
        weighted=share(records, weighted=True),
        by_subject=by_subject,
        by_category=by_category,
        others=others,
        shortened=sum(record.get("shots_dropped", 0) > 0 for record in records),
        truncated=sum(record.get("left_truncated", 0) > 0 for record in records),
    )


def groups(records: Iterable[Record], names: Any) -> dict[str, list[Record]]:
    found: dict[str, list[Record]] = {}
    for record in records:
        for name in names(record):
            found.setdefault(name, []).append(record)
    return found


def share(records: Sequence[Record], weighted: bool = False) -> Accuracy:
    """The share of right answers; its standard error is that of a mean: of p over n questions sqrt(p (1 - p) / n)."""
    weights = [record.get("weight", 1) if weighted else 1 for record in records]
    right = [weight if record["correct"] else 0 for record, weight in zip(records, weights)]
    total = math.fsum(weights)
    value = math.fsum(right) / total
    squares = math.fsum(
        (weight * ((1 if record["correct"] else 0) - value)) ** 2 for record, weight in zip(records, weights)
    )
    return Accuracy(correct=sum(right), n=sum(weights), value=value, standard_error=math.sqrt(squares) / total)


def mean(parts: Sequence[Accuracy]) -> Accuracy:
    """The mean of accuracies, each counting as much as the others."""
    return Accuracy(
        correct=sum(part.correct for part in parts),
        n=sum(part.n for part in parts),
        value=math.fsum(part.value for part in parts) / len(parts),
        standard_error=math.sqrt(math.fsum(part.standard_error**2 for part in parts)) / len(parts),
    )
