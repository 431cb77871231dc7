"""GSM8K: word problems with a number as the answer, which the model writes with its reasoning."""

from __future__ import annotations

import ast
import re
from decimal import Decimal
from pathlib import Path

from ..data import DataError, find, json_lines, read, text_at
from ..question import Protocol, Question, Task, Verdict
from .choices import fixed

PUBLISHED = (
    "https://github.com/openai/grade-school-math, grade_school_math/data/test.jsonl (MIT); the shots at "
    "https://github.com/open-compass/opencompass, configs/datasets/gsm8k/gsm8k_gen_1d7fe4.py (Apache-2.0)"
)
SHOTS = ["gsm8k_gen_1d7fe4.py", "opencompass_4shot.txt"]


def load(folder: Path, protocol: Protocol, shots: int) -> list[Question]:
    path = find(folder, ["test.jsonl", "grade_school_math/data/test.jsonl"], PUBLISHED)
    solved = demonstrations(find(folder, SHOTS, PUBLISHED)) if shots else []
    if len(solved) < shots:
        raise DataError(find(folder, SHOTS, PUBLISHED), None, f"{len(solved)} shots, expected {shots}")
    questions = []
    for number, (line, record) in enumerate(json_lines(path)):
        _, mark, gold = text_at(path, line, record, "answer").rpartition("#### ")
        gold = gold.strip().replace(",", "")
        if not mark or not re.fullmatch(r"-?[0-9]{1,30}", gold):
            raise DataError(path, line, "the answer does not end with #### and a whole number")
        questions.append(
            Question(
                id=f"gsm8k/test/{number}",
                subject="test",
                categories=("test",),
                head="",
                shots=tuple(solved[:shots]),
                item=fixed(f"Question: {text_at(path, line, record, 'question')}\nLet's think step by step\nAnswer:"),
                candidates=(),
                gold=gold,
            )
        )
    return questions  # fmt: skip


def demonstrations(path: Path) -> list[str]:
    """The four solved questions of OpenCompass, from its configuration or from their text."""
    text = read(path)
    if path.suffix != ".py":
        return [part for part in re.split(r"^(?=Question: )", text, flags=re.MULTILINE) if part]
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise DataError(path, None, f"no Python source: {error}") from None
    found: list[tuple[int, int, str, str]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            values = {word.arg: word.value.value for word in node.keywords if isinstance(word.value, ast.Constant)}
            role, prompt = values.get("role"), values.get("prompt")
            if isinstance(role, str) and isinstance(prompt, str):
                found.append((node.lineno, node.col_offset, role, prompt))
    found.sort()
    parts = [(role, prompt) for _, _, role, prompt in found]
    return [
        f"{question}\n{answer}\n"
        for (asks, question), (answers, answer) in zip(parts, parts[1:])
        if asks == "HUMAN" and answers == "BOT"
    ]


def judge(question: Question, protocol: Protocol, text: str) -> Verdict:
    pred, today, number = answer_2023(text), answer_2026(text), last_number(text)
    gold = question.gold
    details = {
        "answer_2023": pred,
        "answer_2026": today,
        "answer_number": number,
        "correct_2023": pred == gold,
        "correct_2026": today == gold or (today != "NULL" and abs(Decimal(today) - Decimal(gold)) < Decimal("1e-6")),
        "correct_number": number is not None and Decimal(number) == Decimal(gold),
    }
    return Verdict(pred, pred == gold, details)


def answer_2023(text: str) -> str:
    """OpenCompass in 2023: the digits of the last word with one, before the first empty line."""
    words = text.split("\n\n")[0].split(" ")
    word = next((word for word in reversed(words) if any(map(str.isdigit, word))), "")
    return "".join(filter(str.isdigit, word))


def answer_2026(text: str) -> str:
    """OpenCompass today: the last number before an invented question; thousands commas end a number."""
    numbers = re.findall(r"-?[0-9]+(?:\.[0-9]+)?", text.split("Question:")[0])
    return numbers[-1] if numbers else "NULL"


def last_number(text: str) -> str | None:
    """The last number before an invented question, with thousands commas and decimals."""
    numbers = re.findall(r"-?[0-9]+(?:,[0-9]{3})*(?:\.[0-9]+)?", text.split("Question:")[0])
    return numbers[-1].replace(",", "") if numbers else None


TASK = Task(
    name="gsm8k",
    title="GSM8K",
    published=PUBLISHED,
    protocols=(
        Protocol("opencompass_4shot", "OpenCompass gsm8k_gen_1d7fe4, greedy", "generate", 4, max_new_tokens=512),
    ),
    load=load,
    judge=judge,
)  # fmt: skip
