"""Small benchmarks in the formats of the real ones, written for these tests."""

from __future__ import annotations

import csv
import json
from pathlib import Path

SHOT = ["Which one is a colour?", "red", "seven", "run", "slowly", "A"]
ROWS = [
    ["Which animal barks?", "the cat", "the dog", "the cow", "the fish", "B"],
    ['Who said\n"yes"?', " Tim", "Ann, aged 9", 'the "king"', "nobody", "D"],
    ["Which one is a number?", "blue", "tree", "five", "milk", "C"],
]


def write_csv(path: Path, rows: list[list[str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def write_lines(path: Path, records: list, dump=json.dumps) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(dump(record) + "\n" for record in records), encoding="utf-8")


def write_mmlu(folder: Path, count: int = 3) -> None:
    for subject in ("high_school_biology", "philosophy"):
        write_csv(folder / "dev" / f"{subject}_dev.csv", [SHOT, *ROWS, SHOT])
        rows = [[f"{row[0]} ({number})", *row[1:]] for number in range(count // 3 + 1) for row in ROWS]
        write_csv(folder / "test" / f"{subject}_test.csv", rows[:count])


def write_ceval(folder: Path) -> None:
    header = ["id", "question", "A", "B", "C", "D", "answer"]
    for subject in ("logic", "law"):
        write_csv(
            folder / "dev" / f"{subject}_dev.csv",
            [[*header, "explanation"], *([str(i), *SHOT, "because"] for i in range(5))],
        )
        write_csv(folder / "val" / f"{subject}_val.csv", [header, *([str(i), *row] for i, row in enumerate(ROWS))])


def write_cmmlu(folder: Path) -> None:
    header = ["", "Question", "A", "B", "C", "D", "Answer"]
    for part, rows in (("dev", [SHOT] * 5), ("test", ROWS)):
        write_csv(folder / part / "agronomy.csv", [header, *([str(i), *row] for i, row in enumerate(rows))])


def write_agieval(folder: Path) -> None:
    names = """lsat-ar lsat-lr lsat-rc logiqa-en logiqa-zh jec-qa-kd jec-qa-ca sat-math sat-en gaokao-chinese
        gaokao-geography gaokao-history gaokao-biology gaokao-chemistry gaokao-physics gaokao-english gaokao-mathqa
        gaokao-mathcloze aqua-rat math""".split()
    sample = {"passage": None, "question": "1+1?", "options": ["(A)2", "(B)3"], "label": "A", "answer": None}
    rows = [["", *names]]
    for number in range(1, 6):
        rows.append([f"sample {number}", *([repr(sample)] * len(names))])
        rows.append([f"explanation {number}", *(["so"] * len(names))])
    write_csv(folder / "few_shot_prompts.csv", rows)
    question = {"passage": "A text.", "question": "2+2?", "options": ["(A)3", "(B)4"], "label": "B", "answer": None}
    write_lines(folder / "v1" / "sat-math.jsonl", [question, {**question, "passage": None}])
    write_lines(folder / "v1" / "gaokao-physics.jsonl", [question, {**question, "label": ["A", "B"]}, question])


def write_gaokao_bench(folder: Path) -> None:
    name = "2010-2022_Physics_MCQs"
    question = {"year": "2010", "question": " 1. What?\nA. a B. b C. c D. d\n", "answer": ["B"], "score": 6, "index": 0}
    several = {**question, "answer": ["AC"]}
    path = folder / "Objective_Questions" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"keywords": name, "example": [several, *([question] * 7)]}), encoding="utf-8")
    prompts = [{"type": "single_choice", "keyword": name, "prefix_prompt": "Choose:"}]
    (folder / "Obj_Prompt.json").write_text(json.dumps({"examples": prompts}), encoding="utf-8")


def write_gaokao_english(folder: Path) -> None:
    question = {
        "context": "It's <41> today.",
        "question_mark": "<Q41>",
        "options": ["hot", "by", "go"],
        "answer": "hot",
    }
    for paper in ("2021_xingaokao1", "2019_quanguojuan1"):
        write_lines(folder / paper / "processed_cloze_choice.jsonl", [question] * 5, dump=repr)


def write_race(folder: Path) -> None:
    article = {
        "article": "Tim has a dog.", "questions": ["Who has a dog?", "What has Tim?"], "id": "middle2.txt",
        "options": [["Tim", "Ann", "Sue", "Bob"], ["a cat", "a dog", "a car", "a hat"]], "answers": ["A", "B"],
    }  # fmt: skip
    for name in ("2.txt", "10.txt"):
        write_lines(folder / "test" / "middle" / name, [article])


def write_commonsenseqa(folder: Path) -> None:
    choices = [{"label": label, "text": text} for label, text in zip("ABCDE", ["bank", "the sea", "a", "an ox", "up"])]
    record = {"answerKey": "B", "id": "x", "question": {"stem": "Where do fish live?", "choices": choices}}
    write_lines(folder / "train_rand_split.jsonl", [record] * 8)
    write_lines(folder / "dev_rand_split.jsonl", [record] * 2)


def write_piqa(folder: Path) -> None:
    record = {"goal": "Open a door.", "sol1": "Turn the key.", "sol2": "Eat the old wooden key, then sleep."}
    write_lines(folder / "valid.jsonl", [record, record])
    (folder / "valid-labels.lst").write_text("0\n1\n", encoding="utf-8")


def write_gsm8k(folder: Path) -> None:
    record = {"question": "Tim has 2 cows and buys 3. How many?", "answer": "2+3=<<2+3=5>>5\n#### 5"}
    write_lines(folder / "test.jsonl", [record, record])
    rounds = "".join(
        f"dict(role='HUMAN', prompt='Question: q{n}\\nAnswer:'), dict(role='BOT', prompt='a{n}\\nThe answer is {n}\\n'),\n"
        for n in range(4)
    )
    rounds += "dict(role='HUMAN', prompt='Question: {question}')"
    (folder / "gsm8k_gen_1d7fe4.py").write_text(f"config = dict(round=[{rounds}])\n", encoding="utf-8")


def write_humaneval(folder: Path) -> None:
    record = {
        "task_id": "HumanEval/0", "prompt": 'def add(a, b):\n    """The sum."""\n', "entry_point": "add",
        "canonical_solution": "    return a + b\n", "test": "def check(candidate):\n    assert candidate(1, 2) == 3\n",
    }  # fmt: skip
    write_lines(folder / "HumanEval.jsonl", [record])


WRITERS = {
    "mmlu": write_mmlu, "ceval": write_ceval, "cmmlu": write_cmmlu, "agieval": write_agieval,
    "gaokao-bench": write_gaokao_bench, "gaokao-english": write_gaokao_english, "race": write_race,
    "commonsenseqa": write_commonsenseqa, "piqa": write_piqa, "gsm8k": write_gsm8k, "humaneval": write_humaneval,
}  # fmt: skip
