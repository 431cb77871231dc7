"""GAOKAO-English: English papers of Chinese college entrance examinations; multiple choice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..data import LETTERS, DataError, find, literal_lines, text_at, texts_at
from ..question import Protocol, Question, Task
from .choices import fixed, options_text, spaced

PUBLISHED = "https://github.com/ExpressAI/Exams (no licence stated)"
TYPES = ["cloze_choice", "listening", "reading_dependent_cloze", "reading_mc"]
SHOTS_FROM = "2021_xingaokao1"
HEAD = "The following are multiple choice questions (with answers) about  gaokao english.\n\n"


def load(folder: Path, protocol: Protocol, shots: int) -> list[Question]:
    if not folder.is_dir():
        raise DataError(folder, None, f"not found; published at {PUBLISHED}")
    solved: dict[str, list[str]] = {}
    papers = sorted(path for path in folder.iterdir() if path.is_dir() and path.name != SHOTS_FROM)
    questions = []
    for paper in papers:
        for kind in TYPES:
            path = paper / f"processed_{kind}.jsonl"
            if not path.exists():
                continue
            if kind not in solved:
                solved[kind] = shots_of(folder, kind, shots) if shots else []
            for number, (line, record) in enumerate(literal_lines(path)):
                text, options, gold = block(path, line, record)
                questions.append(
                    Question(
                        id=f"gaokao-english/{paper.name}/{kind}/{number}",
                        subject=kind,
                        categories=(paper.name,),
                        head=HEAD,
                        shots=tuple(solved[kind]),
                        item=fixed(text),
                        candidates=spaced(options),
                        gold=gold,
                    )
                )
    if not questions:
        raise DataError(folder, None, f"no file such as PAPER/processed_{TYPES[-1]}.jsonl; published at {PUBLISHED}")
    return questions


def shots_of(folder: Path, kind: str, shots: int) -> list[str]:
    path = find(folder, [f"{SHOTS_FROM}/processed_{kind}.jsonl"], PUBLISHED)
    solved = []
    for line, record in literal_lines(path):
        text, _, gold = block(path, line, record)
        solved.append(f"{text} {gold}\n\n")
    if len(solved) < shots:
        raise DataError(path, None, f"{len(solved)} rows, expected {shots} for the shots")
    return solved[:shots]


def block(path: Path, line: int, record: dict[str, Any]) -> tuple[str, int, str]:
    """The text of a question, how many options it has, and the letter of the right one."""
    context, options = text_at(path, line, record, "context"), texts_at(path, line, record, "options")
    if "question_mark" in record:
        # <Q41> stands as <41> in the text.
        question = text_at(path, line, record, "question_mark").replace("<Q", "<", 1)
    else:
        question = text_at(path, line, record, "question")
    answer = text_at(path, line, record, "answer")
    if answer not in options:
        raise DataError(path, line, f"the answer is {answer!r:.80}, which is none of the options")
    gold = LETTERS[options.index(answer)]
    return f"{context}\n{question}{options_text(options)}\nAnswer:", len(options), gold


TASK = Task(
    name="gaokao-english",
    title="GAOKAO-English",
    published=PUBLISHED,
    protocols=(
        Protocol("mmlu_style", f"MMLU's form, shots from {SHOTS_FROM}: ' A', ' B' ...", "loglikelihood", 5),
    ),
    load=load,
)  # fmt: skip
