"""Compares runs question by question."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import html
from .data import DataError
from .journal import read_records
from .records import Record
from .summary import summarize
from .tables import Table, headline, percent
from .tasks import TASKS

__all__ = ["Difference", "compare_runs", "difference", "html_comparison", "tables_of"]


@dataclass(frozen=True)
class Difference:
    """What a second run has more than a first one, over the questions that both have.

    Attributes:
        n: those questions; n_other: questions that only one has; n_prompts: those that were asked differently.
        value: the difference of the averages. standard_error: of it, paired. low, high: the 95 % confidence interval.
        won, lost: questions that only the second, only the first has right.
        p_value: of an exact McNemar test, two-sided.
        changed: ids of questions with another answer.
    """

    n: int
    n_other: int
    n_prompts: int
    value: float
    standard_error: float
    low: float
    high: float
    won: int
    lost: int
    p_value: float
    changed: list[str]


def difference(first: Mapping[str, Record], second: Mapping[str, Record], average: str = "micro") -> Difference:
    """Compares the records of two runs of a task.

    Args:
        average: the rule by which the task averages: "micro", "subjects", "categories" or "weighted".

    Raises:
        ValueError: they have no question in common.
    """
    ids = [name for name in first if name in second]
    if not ids:
        raise ValueError("the runs have no question in common")
    gains = {name: int(second[name]["correct"]) - int(first[name]["correct"]) for name in ids}
    value = variance = 0.0
    groups = strata(first, ids, average)
    for members in groups:
        total = math.fsum(weight for _, weight in members)
        mean = math.fsum(weight * gains[name] for name, weight in members) / total
        value += mean / len(groups)
        variance += (
            math.fsum((weight * (gains[name] - mean) / total) ** 2 for name, weight in members) / len(groups) ** 2
        )
    error = math.sqrt(variance)
    won, lost = sum(gain > 0 for gain in gains.values()), sum(gain < 0 for gain in gains.values())
    return Difference(
        n=len(ids),
        n_other=len(first) + len(second) - 2 * len(ids),
        n_prompts=sum(first[name]["prompt_sha256"] != second[name]["prompt_sha256"] for name in ids),
        value=value,
        standard_error=error,
        low=value - 1.959964 * error,
        high=value + 1.959964 * error,
        won=won,
        lost=lost,
        p_value=mcnemar(won, lost),
        changed=[name for name in ids if first[name]["pred"] != second[name]["pred"]],
    )


def strata(records: Mapping[str, Record], ids: Sequence[str], average: str) -> list[list[tuple[str, float]]]:
    """Groups of questions whose means have the same weight in the average."""
    found: dict[str, list[tuple[str, float]]] = {}
    for name in ids:
        record = records[name]
        keys = {"subjects": [record["subject"]], "categories": record["category"]}.get(average, [""])
        for key in keys or [""]:
            found.setdefault(key, []).append((name, record.get("weight", 1) if average == "weighted" else 1))
    return list(found.values())


def mcnemar(won: int, lost: int) -> float:
    """How probable a split as uneven as this one is when both are as good."""
    total, smaller = won + lost, min(won, lost)
    if total == 0:
        return 1.0

    def term(count: int) -> float:
        logarithm = math.lgamma(total + 1) - math.lgamma(count + 1) - math.lgamma(total - count + 1)
        return math.exp(logarithm - total * math.log(2))

    return min(1.0, 2 * math.fsum(map(term, range(smaller + 1))))


def compare_runs(folders: Sequence[Path]) -> dict[str, list[dict[str, Record]]]:
    """The records of the tasks that all runs have.

    Raises:
        DataError: a folder without records, or a file that has none. ValueError: no task in common.
    """
    labels = []
    for folder in folders:
        names = {path.name[: -len(".jsonl")] for path in folder.glob("*.jsonl")}
        if not names:
            raise DataError(folder, None, "no files TASK.jsonl, expected the --output of xverse-eval")
        labels.append(names)
    shared = sorted(set.intersection(*labels))
    if not shared:
        raise ValueError("the runs have no task in common")
    found = {label: [read_records(folder / f"{label}.jsonl") for folder in folders] for label in shared}
    for label, runs in found.items():
        for folder, records in zip(folders, runs):
            if not records:
                raise DataError(folder / f"{label}.jsonl", None, "no records")
    return found


def average_of(label: str) -> str:
    task = TASKS.get(label.partition(".")[0])
    return task.average if task is not None else "micro"


def tables_of(names: Sequence[str], tasks: Mapping[str, list[dict[str, Record]]]) -> list[Table]:
    """The differences of every run from the first one."""
    rows = []
    for label, runs in tasks.items():
        average = average_of(label)
        for name, records in zip(names[1:], runs[1:]):
            found = difference(runs[0], records, average)
            before, after = (
                headline(summarize([each for key, each in run.items() if key in other]), average)
                for run, other in ((runs[0], records), (records, runs[0]))
            )
            rows.append(
                [
                    label, name, str(found.n), percent(before), percent(after), f"{found.value * 100:+.2f}",
                    f"{found.low * 100:+.2f} to {found.high * 100:+.2f}", str(found.won), str(found.lost),
                    f"{found.p_value:.2g}", str(len(found.changed)),
                ]
            )  # fmt: skip
    header = ["task", "run", "questions", names[0], "run, %", "difference", "95 % interval", "only run right",
              f"only {names[0]} right", "p", "changed answers"]  # fmt: skip
    return [Table(f"Differences from {names[0]}", header, rows, texts=2)]


def html_comparison(names: Sequence[str], tasks: Mapping[str, list[dict[str, Record]]]) -> str:
    parts = [html.table(table) for table in tables_of(names, tasks)]
    for label, runs in tasks.items():
        summaries = [summarize(list(records.values())) for records in runs]
        subjects = dict.fromkeys(name for summary in summaries for name in summary.by_subject)
        rows = [(name, [summary.by_subject.get(name) for summary in summaries]) for name in subjects]
        parts.append(html.bars(f"{label}: accuracy by subject, %", names, rows))
        for name, records in zip(names[1:], runs[1:]):
            changed = difference(runs[0], records).changed
            lines = [[key, runs[0][key]["gold"], runs[0][key]["pred"], records[key]["pred"]] for key in changed]
            table = Table(f"{label}: changed answers", ["question", "right", names[0], name], lines, texts=4)
            parts.append(html.details(f"{label}, {name}: {len(changed)} changed answers", html.table(table, 3)))
    return html.page(f"Comparison of {', '.join(names)}", parts)
