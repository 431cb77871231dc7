"""AGIEval: entrance and licence examinations in English and Chinese; questions with one right option."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..data import DataError, csv_rows, find, json_lines, letter, literal, text_at, texts_at
from ..question import Protocol, Question, Task
from .choices import bare, fixed, one_of, spaced

PUBLISHED = "https://github.com/ruixiangcui/AGIEval, data/v1 and data/few_shot_prompts.csv (MIT; see its LICENSE)"

ENGLISH = """
    aqua-rat gaokao-english logiqa-en lsat-ar lsat-lr lsat-rc sat-en sat-en-without-passage sat-math""".split()
CHINESE = """
    gaokao-biology gaokao-chemistry gaokao-chinese gaokao-geography gaokao-history gaokao-mathqa gaokao-physics
    logiqa-zh""".split()
# Of the answers of these, none is a single option.
LEFT_OUT = "gaokao-mathcloze jec-qa-ca jec-qa-kd math".split()


def load(folder: Path, protocol: Protocol, shots: int) -> list[Question]:
    tests = find(folder, ["v1", "data/v1"], PUBLISHED)
    known = [name for name in sorted(ENGLISH + CHINESE) if (tests / f"{name}.jsonl").exists()]
    if not known:
        raise DataError(tests, None, f"no file of a subject such as sat-math.jsonl; published at {PUBLISHED}")
    solved = demonstrations(folder, known) if shots else {}
    return [question for name in known for question in subject(tests, name, protocol, solved.get(name, [])[:shots])]


def demonstrations(folder: Path, names: list[str]) -> dict[str, list[str]]:
    """The shots of each subject, some of which have fewer than five. Samples and explanations take turns in the file."""
    path = find(folder, ["few_shot_prompts.csv", "data/few_shot_prompts.csv"], PUBLISHED)
    rows = list(csv_rows(path, 21))
    columns = rows[0][1]
    found: dict[str, list[str]] = {}
    for name in names:
        source = "sat-en" if name == "sat-en-without-passage" else name
        if source not in columns:
            raise DataError(path, 1, f"no column {source}")
        found[name] = []
        for line, row in rows[1::2]:
            cell = row[columns.index(source)]
            if not cell.strip():
                continue
            sample = literal(path, line, cell)
            if not isinstance(sample, dict):
                raise DataError(path, line, f"{cell!r:.80}, expected a dictionary")
            if source != name:
                sample["passage"] = None
            options = texts_at(path, line, sample, "options")
            # A list of several letters stands there as Python writes it, as in the authors' prompts.
            label = sample.get("label")
            for each in label if isinstance(label, list) else [label]:
                letter(path, line, each, len(options))
            cue = "The answer is therefore" if name in ENGLISH else "答案是"
            text = numbered(path, line, sample, name in ENGLISH, len(found[name]) + 1)
            found[name].append(f"{text}{cue} {label}\n<END>\n")
        if not found[name]:
            raise DataError(path, None, f"no samples in column {source}")
    return found


def subject(tests: Path, name: str, protocol: Protocol, solved: list[str]) -> list[Question]:
    path = tests / f"{name}.jsonl"
    is_english = name in ENGLISH
    is_few_shot = protocol.name == "few_shot"
    language = "English" if is_english else "Chinese"
    questions = []
    for number, (line, record) in enumerate(json_lines(path)):
        options = texts_at(path, line, record, "options")
        gold = single(record)
        if gold is None and isinstance(record.get("label"), list):
            continue  # several right answers
        if is_few_shot:
            head = (
                "Here are the answers for the problems in the exam.\n"
                if is_english
                else "以下是考试中各个问题的答案。\n"
            )
            cue = "The answer is therefore" if is_english else "答案是"
            texts = [numbered(path, line, record, is_english, count + 1) + cue for count in range(len(solved) + 1)]
            item, candidates = one_of(texts), spaced(len(options))
        else:
            head, item = "", fixed(zero_shot(path, line, record, is_english))
            candidates = spaced(len(options)) if is_english else bare(len(options))
        questions.append(
            Question(
                id=f"agieval/{name}/{number}",
                subject=name,
                categories=(language, "Gaokao") if name.startswith("gaokao") else (language,),
                head=head,
                shots=tuple(solved) if is_few_shot else (),
                item=item,
                candidates=candidates,
                gold=letter(path, line, record.get("label") if gold is None else gold, len(options)),
            )
        )
    return questions


def single(record: dict[str, Any]) -> str | None:
    """The label, when it is one letter, or a list of one."""
    label = record.get("label")
    if isinstance(label, list) and len(label) == 1:
        label = label[0]
    return label if isinstance(label, str) else None


def numbered(path: Path, line: int, record: dict[str, Any], is_english: bool, number: int) -> str:
    first, choose = ("Problem", "Choose from the following options") if is_english else ("问题", "从以下选项中选择")
    passage, question = record.get("passage") or "", text_at(path, line, record, "question")
    options = " ".join(texts_at(path, line, record, "options"))
    return f"{first} {number}.   {passage} {question}\n{choose}:    {options}\n"


def zero_shot(path: Path, line: int, record: dict[str, Any], is_english: bool) -> str:
    passage, question = record.get("passage") or "", text_at(path, line, record, "question")
    options = texts_at(path, line, record, "options")
    last, joined = "ABCDEFGHIJ"[len(options) - 1], " ".join(options)
    if is_english:
        return f"{passage}Q: {question} Answer Choices: {joined}\nA: Among A through {last}, the answer is"
    return f"{passage}问题：{question} 选项：{joined}\n答案：从A到{last}, 我们应选择"


TASK = Task(
    name="agieval",
    title="AGIEval",
    published=PUBLISHED,
    protocols=(
        Protocol("few_shot", "the authors' few-shot text: log-probability of ' A', ' B' ...", "loglikelihood", 5),
        Protocol("zero_shot", "the authors' zero-shot text: log-probability of the letter", "loglikelihood", 0),
    ),
    load=load,
    average="subjects",
)
