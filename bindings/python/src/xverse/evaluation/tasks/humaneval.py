"""HumanEval: functions that the model completes; unit tests decide."""

from __future__ import annotations

import gzip
import re
import zlib
from pathlib import Path

from ..data import DataError, decode, find, object_lines, parse_json, text_at
from ..question import Protocol, Question, Task, Verdict
from ..sandbox import run_program
from .choices import fixed

PUBLISHED = "https://github.com/openai/human-eval, data/HumanEval.jsonl.gz (MIT)"
MOST_BYTES = 64 << 20


def load(folder: Path, protocol: Protocol, shots: int) -> list[Question]:
    path = find(folder, ["HumanEval.jsonl.gz", "HumanEval.jsonl", "data/HumanEval.jsonl.gz"], PUBLISHED)
    if shots:
        raise ValueError(f"num_shots is {shots}, expected 0: humaneval has no solved examples")
    questions = []
    for number, (line, record) in enumerate(object_lines(path, unpacked(path), parse_json)):
        prompt = text_at(path, line, record, "prompt")
        test, entry_point = text_at(path, line, record, "test"), text_at(path, line, record, "entry_point")
        if not entry_point.isidentifier():
            raise DataError(path, line, f"entry_point is {entry_point!r:.80}, expected a name")
        asks = "" if protocol.name == "openai" else "Complete the following python code:\n"
        questions.append(
            Question(
                id=f"humaneval/test/{number}",
                subject="test",
                categories=("test",),
                head="",
                shots=(),
                item=fixed(asks + prompt),
                candidates=(),
                gold="passed",
                name=text_at(path, line, record, "task_id"),
                extra=(prompt, f"\n{test}\ncheck({entry_point})\n"),
            )
        )
    return questions


def unpacked(path: Path) -> str:
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
            data = file.read(MOST_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(path, None, str(error)) from None
    if len(data) > MOST_BYTES:
        raise DataError(path, None, f"more than {MOST_BYTES} bytes")
    return decode(path, data)


def judge(question: Question, protocol: Protocol, text: str) -> Verdict:
    completion = COMPLETIONS[protocol.name](text)
    before, after = question.extra
    outcome = run_program(before + completion + after)
    return Verdict(outcome.result, outcome.result == "passed", {"completion": completion, "detail": outcome.detail})


STOP = ("\nclass", "\ndef", "\n#", "\nif", "\nprint")


def until_stop(text: str) -> str:
    """The text before the first line that begins something new, as in the paper."""
    return text[: min((place for stop in STOP if (place := text.find(stop)) >= 0), default=len(text))]


def opencompass_2023(text: str) -> str:
    """OpenCompass in 2023: a fenced block if there is one, the body of the function up to the first empty line, indented."""
    if "```" in text:
        inside = text.split("```")
        # Two fences enclose a block, whose first line may name the language.
        text = inside[1]
        if len(inside) > 2 and not text.startswith("\n"):
            text = text[text.find("\n") + 1 :]
    if text.strip().startswith(("from", "import")) and "def" in text:
        text = text[text.find("\n", text.find("def")) + 1 :]
    text = text.split("\n\n")[0]
    if text.strip().startswith("def"):
        text = text.partition("\n")[2]
    if text.startswith("    "):
        return text
    if text.startswith(" "):
        return "    " + text.lstrip()
    return "\n".join("    " + line for line in text.split("\n"))


def opencompass_2026(text: str) -> str:
    """OpenCompass today: the first fenced block if there is one, without white space before it."""
    block = re.search(r"```\w*\n(.*?)```", text, re.DOTALL)
    return (block[1] if block else text).lstrip()


COMPLETIONS = {"opencompass": opencompass_2023, "opencompass_2026": opencompass_2026, "openai": until_stop}

TASK = Task(
    name="humaneval",
    title="HumanEval",
    published=PUBLISHED,
    protocols=(
        Protocol(
            "opencompass", "OpenCompass humaneval_gen_8e312c with the rules of 2023, greedy, pass@1",
            "generate", 0, max_new_tokens=512,
        ),
        Protocol("opencompass_2026", "the same with today's rules", "generate", 0, max_new_tokens=512),
        Protocol("openai", "the bare prompt, cut as in the paper, greedy, pass@1", "generate", 0, max_new_tokens=512,
                 stop=STOP),
    ),
    load=load,
    judge=judge,
    runs_code=True,
)  # fmt: skip
