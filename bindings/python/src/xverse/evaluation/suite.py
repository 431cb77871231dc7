"""Several tasks with one model: errors of one leave the others alone, a run that was killed goes on."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable

from ..errors import XverseError
from .data import DataError, parse_json, read
from .encoding import Encoded
from .journal import Journal
from .question import Protocol, Task
from .records import Record
from .run import Options, TaskRun
from .summary import Summary, summarize
from .tasks import TASKS

if TYPE_CHECKING:
    from ..model import Model

__all__ = ["Progress", "TaskResult", "chosen_tasks", "evaluate"]

Progress = Callable[[str, int, int, int, float], object]
"""Called with the task's label, questions done, all, right ones, and seconds for one question of this run."""


@dataclass(frozen=True)
class TaskResult:
    """What a task gave: a summary, or why there is none.

    Attributes:
        label: task, or task.protocol where that is not the default.
        settings: how it was run.
        records: one for each question, by id.
        seconds: of this run; n_evaluated: questions evaluated in it, the others being there already.
    """

    label: str
    task: Task
    protocol: Protocol
    settings: dict[str, Any] = field(default_factory=dict)
    records: dict[str, Record] = field(default_factory=dict, repr=False)
    summary: Summary | None = None
    seconds: float = 0
    n_evaluated: int = 0
    error: str | None = None


def chosen_tasks(names: Sequence[str]) -> list[tuple[str, Task, Protocol]]:
    """Label, task and protocol of names such as mmlu or cmmlu.official.

    Raises:
        ValueError: no such task or protocol, or one twice.
    """
    chosen: list[tuple[str, Task, Protocol]] = []
    for name in names:
        task_name, dot, protocol_name = name.partition(".")
        if task_name not in TASKS:
            raise ValueError(f"there is no task {task_name!r}, expected one of {', '.join(TASKS)}")
        task = TASKS[task_name]
        protocol = task.protocol(protocol_name if dot else None)
        label = task_name if protocol is task.protocols[0] else f"{task_name}.{protocol.name}"
        if any(label == other for other, _, _ in chosen):
            raise ValueError(f"the task {label} is given twice")
        chosen.append((label, task, protocol))
    return chosen


def evaluate(
    model: Model,
    tasks: Sequence[str],
    data: str | os.PathLike[str],
    *,
    options: Options | None = None,
    output: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> list[TaskResult]:
    """Runs tasks one after the other.

    Args:
        tasks: names, with a protocol behind a dot where the default one is not wanted: "mmlu", "cmmlu.official".
        data: folder with a folder for each benchmark, named as the task.
        output: folder for DIR/TASK.jsonl; what is there already is not evaluated again.

    Returns:
        A result for each task; those that failed have an error.

    Raises:
        ValueError: no such task or protocol.
    """
    results = []
    folder = None if output is None else Path(output)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    for label, task, protocol in chosen_tasks(tasks):
        try:
            run = TaskRun(model, task, Path(data) / task.name, protocol.name, options)
            results.append(run_task(run, label, folder, progress))
        except (DataError, PermissionError, ValueError, OSError, RuntimeError, XverseError) as error:
            results.append(TaskResult(label, task, protocol, error=str(error)))
    return results


def run_task(run: TaskRun, label: str, folder: Path | None, progress: Progress | None) -> TaskResult:
    asked = {question.id for question in run.questions}
    records: dict[str, Record] = {}
    start, right, evaluated = time.monotonic(), 0, 0
    with ExitStack() as stack:
        journal = None
        if folder is not None:
            journal = stack.enter_context(Journal(folder / f"{label}.jsonl"))
            keep_settings(folder / f"{label}.settings.json", run.settings(), bool(journal.records))
            records = {name: record for name, record in journal.records.items() if name in asked}
            right = sum(record["correct"] for record in records.values())

        def is_done(encoded: Encoded) -> bool:
            record = records.get(encoded.question.id)
            if record is not None and record["prompt_sha256"] != encoded.prompt_sha256:
                raise DataError(
                    folder / f"{label}.jsonl" if folder else Path(label), None,
                    f"{encoded.question.id} was asked with another prompt; the data changed, choose another folder",
                )  # fmt: skip
            return record is not None

        if progress is not None:
            progress(label, len(records), len(asked), right, 0)
        for record in run.records(is_done):
            if journal is not None:
                journal.write(record)
            records[record["id"]] = record
            right += record["correct"]
            evaluated += 1
            if progress is not None:
                progress(label, len(records), len(asked), right, (time.monotonic() - start) / evaluated)
    return TaskResult(
        label=label,
        task=run.task,
        protocol=run.protocol,
        settings=run.settings(),
        records=records,
        summary=summarize([records[question.id] for question in run.questions]),
        seconds=time.monotonic() - start,
        n_evaluated=evaluated,
    )


# What may change when a run goes on: which questions are asked, not how.
MAY_CHANGE = {"limit", "seed", "questions"}


def keep_settings(path: Path, settings: dict[str, Any], goes_on: bool) -> None:
    """Writes the settings of a run, after comparing them with those of the run that goes on.

    Raises:
        ValueError: they differ.
    """
    if goes_on and path.exists():
        before = parse_json(path, 1, read(path))
        for key, value in settings.items():
            old = before.get(key) if isinstance(before, dict) else None
            if old != value and key not in MAY_CHANGE:
                raise ValueError(f"{path}: {key} was {old!r} in the run that is to go on, now it is {value!r}")
    write_file(path, json.dumps(settings, ensure_ascii=False, indent=2) + "\n")


def write_file(path: Path, text: str) -> None:
    """Writes a file that is always whole."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
