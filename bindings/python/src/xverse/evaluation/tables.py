"""Tables as text for a terminal and as Markdown."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from .suite import TaskResult
from .summary import Accuracy, Summary

__all__ = ["Table", "as_markdown", "as_text", "headline", "task_tables"]

RULES = {
    "micro": "all questions",
    "subjects": "mean of the subjects",
    "categories": "mean of the categories",
    "weighted": "share of the points",
}


@dataclass(frozen=True)
class Table:
    """A table; columns after the first `texts` hold numbers."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    texts: int = 1


def headline(summary: Summary, average: str) -> Accuracy:
    """The figure to compare with published ones."""
    found: Accuracy = getattr(summary, average)
    return found


def percent(accuracy: Accuracy) -> str:
    return f"{accuracy.value * 100:.2f} ± {accuracy.standard_error * 100:.2f}"


def task_tables(results: Sequence[TaskResult]) -> list[Table]:
    """One table of the tasks, and for each task its categories and other rules, and its subjects."""
    rows = []
    for result in results:
        if result.summary is None:
            rows.append([result.label, result.protocol.name, "", "", "failed", "", "", ""])
            continue
        summary = result.summary
        rows.append(
            [
                result.label, result.protocol.name, str(result.settings["num_shots"]), str(len(result.records)),
                percent(headline(summary, result.task.average)), percent(summary.micro), percent(summary.subjects),
                percent(summary.categories),
            ]
        )  # fmt: skip
    header = ["task", "protocol", "shots", "questions", "result, %", "all questions", "subjects", "categories"]
    tables = [Table("Results", header, rows, texts=2)]
    for result in results:
        if result.summary is not None:
            tables += detail_tables(result, result.summary)
    return tables


def detail_tables(result: TaskResult, summary: Summary) -> list[Table]:
    tables = []
    rows = [
        [name, f"{parts['micro'].n:g}", percent(parts["micro"]), percent(parts["subjects"])]
        for name, parts in summary.by_category.items()
    ]
    if len(rows) > 1:
        header = ["category", "questions", "all questions, %", "mean of subjects, %"]
        tables.append(Table(f"{result.task.title}: categories", header, rows))
    others = [[name, percent(accuracy)] for name, accuracy in summary.others.items()]
    if result.task.average == "weighted" or summary.weighted.n != summary.micro.n:
        others.append(["share of the points", percent(summary.weighted)])
    if others:
        tables.append(Table(f"{result.task.title}: other rules", ["rule", "%"], others))
    if len(summary.by_subject) > 1:
        rows = [[name, f"{part.n:g}", percent(part)] for name, part in summary.by_subject.items()]
        tables.append(Table(f"{result.task.title}: subjects", ["subject", "questions", "%"], rows))
    return tables


def notes(result: TaskResult) -> list[str]:
    """Sentences that belong to a task's figures."""
    if result.summary is None:
        return [f"{result.label} failed: {result.error}"]
    found = [
        f"{result.label}: {result.protocol.summary}; the result is the {RULES[result.task.average]}"
        if result.task.average != "micro"
        else f"{result.label}: {result.protocol.summary}"
    ]
    if result.summary.shortened:
        found.append(
            f"{result.label}: {result.summary.shortened} prompts with fewer shots, because the context is short"
        )
    if result.summary.truncated:
        found.append(f"{result.label}: {result.summary.truncated} prompts cut on the left")
    return found


def width(text: str) -> int:
    """Columns on a terminal."""
    return sum(2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in text)


def as_text(table: Table) -> str:
    lines = [list(table.header), *map(list, table.rows)]
    widths = [max(width(line[column]) for line in lines) for column in range(len(table.header))]
    text = [table.title]
    for line in lines:
        cells = []
        for column, cell in enumerate(line):
            space = " " * (widths[column] - width(cell))
            cells.append(cell + space if column < table.texts else space + cell)
        text.append("  ".join(cells).rstrip())
    return "\n".join(text) + "\n"


def as_markdown(table: Table) -> str:
    def row(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |\n"

    rule = ["---" if column < table.texts else "---:" for column in range(len(table.header))]
    return f"## {table.title}\n\n" + row(table.header) + row(rule) + "".join(map(row, table.rows))
