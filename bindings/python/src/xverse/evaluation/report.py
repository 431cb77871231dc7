"""Writes the results of a run: results.json, report.md, report.html."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import html
from .data import parse_json, read
from .suite import TaskResult, write_file
from .tables import as_markdown, headline, notes, task_tables

__all__ = ["write_reports"]


def write_reports(folder: Path, results: Sequence[TaskResult], title: str) -> None:
    """Writes the three files. results.json keeps what it has of other tasks."""
    path = folder / "results.json"
    value = parse_json(path, 1, read(path)) if path.exists() else {}
    tasks = value.get("tasks") if isinstance(value, dict) else None
    merged: dict[str, Any] = dict(tasks) if isinstance(tasks, dict) else {}
    merged.update({result.label: result_dict(result) for result in results})
    write_file(path, json.dumps({"schema": 1, "tasks": merged}, ensure_ascii=False, indent=2) + "\n")
    tables = task_tables(results)
    sentences = [note for result in results for note in notes(result)]
    write_file(
        folder / "report.md",
        f"# {title}\n\n" + "".join(f"- {note}\n" for note in sentences) + "\n" + "\n".join(map(as_markdown, tables)),
    )
    write_file(folder / "report.html", html_report(results, title))


def result_dict(result: TaskResult) -> dict[str, Any]:
    found: dict[str, Any] = {"task": result.task.name, "protocol": result.protocol.name, "settings": result.settings}
    if result.summary is None:
        found["error"] = result.error
        return found
    figure = headline(result.summary, result.task.average)
    found.update(
        average=result.task.average, result=figure.value, standard_error=figure.standard_error,
        seconds=round(result.seconds, 3), n_evaluated=result.n_evaluated, summary=result.summary.as_dict(),
    )  # fmt: skip
    return found


def html_report(results: Sequence[TaskResult], title: str) -> str:
    tables = task_tables(results)
    parts = [html.table(tables[0])]
    parts += [html.paragraph(note) for result in results for note in notes(result)]
    for result in results:
        if result.summary is None:
            continue
        rows = [(name, [accuracy]) for name, accuracy in result.summary.by_subject.items()]
        parts.append(html.bars(f"{result.task.title}: accuracy by subject, %", [], rows))
    parts += [html.table(each) for each in tables[1:]]
    return html.page(title, parts)
