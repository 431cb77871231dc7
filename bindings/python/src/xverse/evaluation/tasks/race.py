"""RACE-M: reading comprehension of middle schools, four options."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..data import DataError, find, json_lines, letter, parse_json, read, text_at, texts_at
from ..question import Protocol, Question, Task
from .choices import by_number, fixed, options_text, spaced

PUBLISHED = "https://www.cs.cmu.edu/~glai1/data/race/, RACE.tar.gz (for research only)"


def load(folder: Path, protocol: Protocol, shots: int) -> list[Question]:
    path = find(folder, ["test/middle", "RACE/test/middle", "test/middle.jsonl", "middle.jsonl"], PUBLISHED)
    questions = []
    for number, (name, line, record) in enumerate(articles(path) if path.is_dir() else lines(path)):
        at = path / name if path.is_dir() else path
        options = texts_at(at, line, record, "options", 4)
        text = (
            "Read the article, and answer the question by replying A, B, C or D.\n\n"
            f"Article:\n{text_at(at, line, record, 'article')}\n\n"
            f"Q: {text_at(at, line, record, 'question')}\n{options_text(options)}\nA:"
        )
        questions.append(
            Question(
                id=f"race/middle/{number}",
                subject="middle",
                categories=("middle",),
                head="",
                shots=(),
                item=fixed(text),
                candidates=spaced(4),
                gold=letter(at, line, record.get("answer"), 4),
                name=name,
            )
        )
    return questions


def lines(path: Path) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """One question a line, as on Hugging Face and in OpenCompass."""
    for line, record in json_lines(path):
        yield text_at(path, line, record, "example_id"), line, record


def articles(folder: Path) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """One article with its questions a file, as the authors publish them."""
    paths = sorted(folder.glob("*.txt"), key=by_number)
    if not paths:
        raise DataError(folder, None, "no files *.txt")
    for path in paths:
        value = parse_json(path, 1, read(path))
        if not isinstance(value, dict):
            raise DataError(path, None, "expected an object")
        parts: list[list[Any]] = []
        for key in ("questions", "options", "answers"):
            part = value.get(key)
            parts.append(part if isinstance(part, list) else [])
        if not parts[0] or not all(len(part) == len(parts[0]) for part in parts):
            raise DataError(path, None, "expected lists questions, options and answers of one length")
        for question, options, answer in zip(*parts):
            record = {"article": value.get("article"), "question": question, "options": options, "answer": answer}
            yield path.name, 1, record


TASK = Task(
    name="race",
    title="RACE-M",
    published=PUBLISHED,
    protocols=(Protocol("opencompass_ppl", "OpenCompass race_ppl_a138cd: mean loss of the whole text", "ppl", 0),),
    load=load,
)
