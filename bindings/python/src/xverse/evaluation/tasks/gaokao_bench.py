"""GAOKAO-Bench: Chinese college entrance examinations; questions with one right option."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..data import DataError, find, parse_json, read, text_at
from ..question import Protocol, Question, Task
from .choices import bare, fixed

PUBLISHED = "https://github.com/OpenLMLab/GAOKAO-Bench, Data/Objective_Questions and Bench/Obj_Prompt.json (Apache-2.0)"

# The files whose answers are single options, all or, in physics, most of them.
FILES = {
    "2010-2022_Math_I_MCQs": "数学",
    "2010-2022_Math_II_MCQs": "数学",
    "2010-2022_History_MCQs": "历史",
    "2010-2022_Biology_MCQs": "生物",
    "2010-2022_Political_Science_MCQs": "政治",
    "2010-2022_Chemistry_MCQs": "化学",
    "2010-2022_Physics_MCQs": "物理",
    "2010-2013_English_MCQs": "英语",
}
LETTERS = "ABCD"


def load(folder: Path, protocol: Protocol, shots: int) -> list[Question]:
    tests = find(folder, ["Objective_Questions", "Data/Objective_Questions"], PUBLISHED)
    prefixes = prompts(folder) if protocol.scoring == "ppl" else {}
    names = [name for name in sorted(FILES) if (tests / f"{name}.json").exists()]
    if not names:
        raise DataError(tests, None, f"no file such as {next(iter(FILES))}.json; published at {PUBLISHED}")
    questions = []
    for name in names:
        if protocol.scoring == "ppl" and name not in prefixes:
            continue
        questions += subject(tests / f"{name}.json", protocol, shots, prefixes.get(name, ""))
    return questions


def subject(path: Path, protocol: Protocol, shots: int, prefix: str) -> list[Question]:
    name, is_ppl = path.stem, protocol.scoring == "ppl"
    singles = [(number, record, gold) for number, record in records(path) if (gold := answer(path, number, record))]
    if len(singles) <= shots:
        raise DataError(path, None, f"{len(singles)} questions with one answer, expected more than the {shots} shots")
    solved = [f"{block(path, number, record)}{gold}\n\n" for number, record, gold in singles[:shots]]
    head = prefix if is_ppl else f"以下是中国高考{FILES[name]}单项选择题，请选出其中的正确答案。\n\n"
    return [
        Question(
            id=f"gaokao-bench/{name}/{number}",
            subject=name,
            categories=(FILES[name],),
            head=head,
            shots=tuple(solved),
            item=fixed(
                f"{question(path, number, record)}\n【答案】" if is_ppl else block(path, number, record)
            ),
            candidates=tuple(f"{letter} <eoa>" for letter in LETTERS) if is_ppl else bare(4),
            gold=gold,
            weight=points(path, number, record),
        )
        for number, record, gold in singles[shots:]
    ]  # fmt: skip


def records(path: Path) -> list[tuple[int, dict[str, Any]]]:
    value = parse_json(path, 1, read(path))
    examples = value.get("example") if isinstance(value, dict) else None
    if not isinstance(examples, list) or not examples:
        raise DataError(path, None, "no list of questions under example")
    for number, record in enumerate(examples):
        if not isinstance(record, dict):
            raise DataError(path, None, f"example {number} is {record!r:.80}, expected an object")
    return list(enumerate(examples))


def answer(path: Path, number: int, record: dict[str, Any]) -> str | None:
    """The letter of a question with one right option."""
    letters = record.get("answer")
    if not isinstance(letters, list) or not letters or not all(isinstance(each, str) and each for each in letters):
        raise DataError(path, None, f"example {number}: the answer is {letters!r:.80}, expected a list of letters")
    if not set("".join(letters)) <= set(LETTERS):
        raise DataError(path, None, f"example {number}: the answer is {letters!r:.80}, expected letters from A to D")
    return letters[0] if len(letters) == 1 and len(letters[0]) == 1 else None


def question(path: Path, number: int, record: dict[str, Any]) -> str:
    try:
        return text_at(path, 1, record, "question")
    except DataError:
        raise DataError(path, None, f"example {number} has no question, or it is no text") from None


def block(path: Path, number: int, record: dict[str, Any]) -> str:
    return f"{question(path, number, record).strip()}\n答案："


def points(path: Path, number: int, record: dict[str, Any]) -> float:
    score = record.get("score")
    if isinstance(score, bool) or not isinstance(score, (int, float)) or not 0 < score < 1e6:
        raise DataError(path, None, f"example {number}: the score is {score!r:.40}, expected points above 0")
    return score


def prompts(folder: Path) -> dict[str, str]:
    """What OpenCompass puts before the questions of each file with single options."""
    path = find(folder, ["Obj_Prompt.json", "Bench/Obj_Prompt.json"], PUBLISHED)
    value = parse_json(path, 1, read(path))
    examples = value.get("examples") if isinstance(value, dict) else None
    if not isinstance(examples, list) or not all(isinstance(example, dict) for example in examples):
        raise DataError(path, None, "no list of prompts under examples")
    return {
        str(example.get("keyword")): text_at(path, 1, example, "prefix_prompt")
        for example in examples
        if example.get("type") == "single_choice"
    }


TASK = Task(
    name="gaokao-bench",
    title="GAOKAO-Bench",
    published=PUBLISHED,
    protocols=(
        Protocol("mmlu_style", "the first questions of each file as shots: 'A' to 'D'", "loglikelihood", 5),
        Protocol("opencompass_ppl", "OpenCompass GaokaoBench_mixed_9af5ee: mean loss of the whole text", "ppl", 0),
    ),
    load=load,
    average="subjects",
)
