"""C-Eval: 52 subjects in Chinese, four options; the validation set, whose answers are published."""

from __future__ import annotations

from pathlib import Path

from ..data import DataError, csv_rows, find, letter
from ..question import Protocol, Question, Task
from .ceval_subjects import HARD, SUBJECTS
from .choices import bare, fixed, options_text, subjects

PUBLISHED = "https://huggingface.co/datasets/ceval/ceval-exam, ceval-exam.zip (CC BY-NC-SA 4.0)"
HEADER = ["id", "question", "A", "B", "C", "D", "answer"]
HARD_CATEGORY = "Hard"


def load(folder: Path, protocol: Protocol, shots: int) -> list[Question]:
    dev, val = find(folder, ["dev"], PUBLISHED), find(folder, ["val"], PUBLISHED)
    questions = []
    for subject in subjects(val, "_val.csv"):
        path = val / f"{subject}_val.csv"
        category = next((name for name, members in SUBJECTS.items() if subject in members), None)
        if category is None:
            raise DataError(path, None, f"{subject} is none of C-Eval's subjects")
        head = f"以下是中国关于{SUBJECTS[category][subject]}考试的单项选择题，请选出其中的正确答案。\n\n"
        shots_path = find(dev, [f"{subject}_dev.csv"], PUBLISHED)
        solved = []
        for line, row in csv_rows(shots_path, 8, [*HEADER, "explanation"]):
            solved.append(f"{block(row)}{letter(shots_path, line, row[6], 4)}\n\n")
        if len(solved) < shots:
            raise DataError(shots_path, None, f"{len(solved)} rows, expected {shots} for the shots")
        for number, (line, row) in enumerate(csv_rows(path, 7, HEADER)):
            questions.append(
                Question(
                    id=f"ceval/{subject}/{number}",
                    subject=subject,
                    categories=(category, HARD_CATEGORY) if subject in HARD else (category,),
                    head=head,
                    shots=tuple(solved[:shots]),
                    item=fixed(block(row)),
                    candidates=bare(4),
                    gold=letter(path, line, row[6], 4),
                )
            )
    return questions


def block(row: list[str]) -> str:
    return f"{row[1]}{options_text(row[2:6])}\n答案："


TASK = Task(
    name="ceval",
    title="C-Eval",
    published=PUBLISHED,
    protocols=(Protocol("official", "answer only: next-token log-probability of 'A' to 'D'", "loglikelihood", 5),),
    load=load,
    average="subjects",
)
