"""PIQA: which of two ways to reach a goal makes sense; the validation set."""

from __future__ import annotations

from pathlib import Path

from ..data import DataError, find, json_lines, read, text_at
from ..question import Protocol, Question, Task
from .choices import fixed

PUBLISHED = "https://yonatanbisk.com/piqa/data/, valid.jsonl and valid-labels.lst (AFL-3.0)"


def load(folder: Path, protocol: Protocol, shots: int) -> list[Question]:
    path = find(folder, ["valid.jsonl", "dev.jsonl"], PUBLISHED)
    labels_path = find(folder, ["valid-labels.lst", "dev-labels.lst"], PUBLISHED)
    labels = read(labels_path).split()
    for line, label in enumerate(labels, start=1):
        if label not in ("0", "1"):
            raise DataError(labels_path, line, f"{label!r:.40}, expected 0 or 1")
    records = list(json_lines(path))
    if len(labels) != len(records):
        raise DataError(labels_path, None, f"{len(labels)} labels, expected {len(records)} as in {path.name}")
    is_ppl = protocol.scoring == "ppl"
    questions = []
    for number, ((line, record), label) in enumerate(zip(records, labels)):
        goal = text_at(path, line, record, "goal")
        solutions = [text_at(path, line, record, key) for key in ("sol1", "sol2")]
        text = f"The following makes sense: \nQ: {goal}\nA:" if is_ppl else f"Question: {goal}\nAnswer:"
        questions.append(
            Question(
                id=f"piqa/valid/{number}",
                subject="valid",
                categories=("valid",),
                head="",
                shots=(),
                item=fixed(text),
                candidates=tuple(f" {solution}\n" if is_ppl else f" {solution}" for solution in solutions),
                gold="AB"[int(label)],
            )
        )
    return questions


TASK = Task(
    name="piqa",
    title="PIQA",
    published=PUBLISHED,
    protocols=(
        Protocol("opencompass_ppl", "OpenCompass piqa_ppl_1cf9f0: mean loss of the whole text", "ppl", 0),
        Protocol(
            "conditional", "log-probability of the solution after the goal, as lm-evaluation-harness",
            "loglikelihood", 0, normalized=True,
        ),
    ),
    load=load,
)  # fmt: skip
