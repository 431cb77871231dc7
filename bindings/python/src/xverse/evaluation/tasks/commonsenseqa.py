"""CommonsenseQA: five options; the development set, whose answers are published."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..data import DataError, find, json_lines, letter, text_at
from ..question import Protocol, Question, Task
from .choices import after_shots, bare, options_text

PUBLISHED = "https://www.tau-nlp.sites.tau.ac.il/commonsenseqa (MIT)"


def load(folder: Path, protocol: Protocol, shots: int) -> list[Question]:
    train = find(folder, ["train_rand_split.jsonl"], PUBLISHED)
    dev = find(folder, ["dev_rand_split.jsonl"], PUBLISHED)
    with_letters = protocol.name == "opencompass_ppl_letter"
    solved: list[str] = []
    for line, record in json_lines(train):
        if len(solved) == shots:
            break
        stem, options, gold = parts(train, line, record)
        answer = gold if with_letters else options["ABCDE".index(gold)]
        solved.append(f"{block(stem, options, with_letters)}{answer}\n\n\n")
    if len(solved) < shots:
        raise DataError(train, None, f"{len(solved)} rows, expected {shots} for the shots")
    questions = []
    for number, (line, record) in enumerate(json_lines(dev)):
        stem, options, gold = parts(dev, line, record)
        questions.append(
            Question(
                id=f"commonsenseqa/dev/{number}",
                subject="dev",
                categories=("dev",),
                head="",
                shots=tuple(solved),
                item=after_shots(block(stem, options, with_letters), "\n\n"),
                candidates=bare(5) if with_letters else tuple(options),
                gold=gold,
                name=str(record.get("id")),
            )
        )
    return questions


def parts(path: Path, line: int, record: dict[str, Any]) -> tuple[str, list[str], str]:
    """Question, options and the letter of the answer."""
    question = record.get("question")
    if not isinstance(question, dict):
        raise DataError(path, line, f"question is {question!r:.80}, expected an object")
    choices = question.get("choices")
    if not isinstance(choices, list) or len(choices) != 5 or not all(isinstance(choice, dict) for choice in choices):
        raise DataError(path, line, f"choices is {choices!r:.80}, expected five objects")
    if [choice.get("label") for choice in choices] != list("ABCDE"):
        raise DataError(path, line, "the labels of the choices are not A, B, C, D, E")
    options = [text_at(path, line, choice, "text") for choice in choices]
    return text_at(path, line, question, "stem"), options, letter(path, line, record.get("answerKey"), 5)


def block(stem: str, options: list[str], with_letters: bool) -> str:
    # OpenCompass joins "Answer: " and the answer with a line feed.
    return f"Question: {stem}{options_text(options) if with_letters else ''}\nAnswer: \n"


TASK = Task(
    name="commonsenseqa",
    title="CommonsenseQA",
    published=PUBLISHED,
    protocols=(
        Protocol("opencompass_ppl_text", "template of commonsenseqa_ppl_5545e2: loss with the option's text", "ppl", 7),
        Protocol("opencompass_ppl_letter", "template of commonsenseqa_ppl_c49e77: loss with its letter", "ppl", 7),
    ),
    load=load,
)
