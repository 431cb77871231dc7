"""CMMLU: 67 subjects in Chinese, four options."""

from __future__ import annotations

from pathlib import Path

from ..data import DataError, csv_rows, find, letter
from ..question import Protocol, Question, Task
from .choices import after_shots, bare, fixed, options_text, spaced, subjects
from .cmmlu_subjects import CATEGORIES, NAMES

PUBLISHED = "https://github.com/haonan-li/CMMLU, data/ (CC BY-NC-SA 4.0)"
HEADER = ["", "Question", "A", "B", "C", "D", "Answer"]


def load(folder: Path, protocol: Protocol, shots: int) -> list[Question]:
    dev, test = find(folder, ["dev", "data/dev"], PUBLISHED), find(folder, ["test", "data/test"], PUBLISHED)
    is_ppl = protocol.scoring == "ppl"
    questions = []
    for subject in subjects(test, ".csv"):
        path = test / f"{subject}.csv"
        if subject not in NAMES:
            raise DataError(path, None, f"{subject} is none of CMMLU's subjects")
        head = f"以下是关于{NAMES[subject]}的单项选择题，请直接给出正确答案的选项。\n"
        # OpenCompass repeats the head in every shot.
        before, cue, after = (head, "答案是:", "\n\n\n") if is_ppl else ("", "答案是：", "\n\n")
        candidates = spaced(4) if is_ppl else bare(4)
        shots_path = find(dev, [f"{subject}.csv"], PUBLISHED)
        solved = []
        for line, row in csv_rows(shots_path, 7, HEADER):
            answer = candidates["ABCD".index(letter(shots_path, line, row[6], 4))]
            solved.append(before + block(row, cue) + answer + after)
        if len(solved) < shots:
            raise DataError(shots_path, None, f"{len(solved)} rows, expected {shots} for the shots")
        for number, (line, row) in enumerate(csv_rows(path, 7, HEADER)):
            item = before + block(row, cue)
            questions.append(
                Question(
                    id=f"cmmlu/{subject}/{number}",
                    subject=subject,
                    categories=tuple(name for name, members in CATEGORIES.items() if subject in members),
                    head="" if is_ppl else f"{head}\n",
                    shots=tuple(solved[:shots]),
                    item=after_shots(item, "\n\n") if is_ppl else fixed(item),
                    candidates=candidates,
                    gold=letter(path, line, row[6], 4),
                )
            )
    return questions


def block(row: list[str], cue: str) -> str:
    return f"题目：{row[1]}{options_text(row[2:6])}\n{cue}"


TASK = Task(
    name="cmmlu",
    title="CMMLU",
    published=PUBLISHED,
    protocols=(
        Protocol("opencompass_ppl", "OpenCompass cmmlu_ppl_8b9c76: mean loss of the whole text", "ppl", 5),
        Protocol(
            "official",
            "the authors' script: next-token log-probability of 'A' to 'D'; the longest shots are dropped first",
            "loglikelihood", 5, fit="longest",
        ),
    ),
    load=load,
    average="subjects",
)  # fmt: skip
