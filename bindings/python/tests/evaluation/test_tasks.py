"""The readers and prompts of the tasks, on small files in the benchmarks' formats."""

import gzip
import json

import pytest

from xverse.evaluation import TASKS, DataError


def load(data, name, protocol=None, shots=None):
    task = TASKS[name]
    found = task.protocol(protocol)
    return task.load(data / name, found, found.shots if shots is None else shots)


def whole(question):
    return question.prompt(range(len(question.shots)))


MMLU_ITEM = 'Who said\n"yes"? (0)\nA.  Tim\nB. Ann, aged 9\nC. the "king"\nD. nobody\nAnswer:'
PROMPTS = {
    ("mmlu", None, 1): (
        1,
        "The following are multiple choice questions (with answers) about  high school biology.\n\n"
        "Which one is a colour?\nA. red\nB. seven\nC. run\nD. slowly\nAnswer: A\n\n" + MMLU_ITEM,
    ),
    ("ceval", None, 1): (
        0,
        ("以下是中国关于法学考试的单项选择题，请选出其中的正确答案。\n\n"
        "Which one is a colour?\nA. red\nB. seven\nC. run\nD. slowly\n答案：A\n\n"
        "Which animal barks?\nA. the cat\nB. the dog\nC. the cow\nD. the fish\n答案："),
    ),
    ("cmmlu", "official", 1): (
        2,
        ("以下是关于农学的单项选择题，请直接给出正确答案的选项。\n\n"
        "题目：Which one is a colour?\nA. red\nB. seven\nC. run\nD. slowly\n答案是：A\n\n"
        "题目：Which one is a number?\nA. blue\nB. tree\nC. five\nD. milk\n答案是："),
    ),
    ("cmmlu", None, 2): (
        2,
        2 * (
            "以下是关于农学的单项选择题，请直接给出正确答案的选项。\n"
            "题目：Which one is a colour?\nA. red\nB. seven\nC. run\nD. slowly\n答案是: A\n\n\n"
        )
        + "\n\n以下是关于农学的单项选择题，请直接给出正确答案的选项。\n"
        "题目：Which one is a number?\nA. blue\nB. tree\nC. five\nD. milk\n答案是:",
    ),
    ("agieval", None, 1): (
        3,
        ("Here are the answers for the problems in the exam.\nProblem 1.    1+1?\n"
        "Choose from the following options:    (A)2 (B)3\nThe answer is therefore A\n<END>\n"
        "Problem 2.    2+2?\nChoose from the following options:    (A)3 (B)4\nThe answer is therefore"),
    ),
    ("agieval", "zero_shot", 0): (0, "A text.问题：2+2? 选项：(A)3 (B)4\n答案：从A到B, 我们应选择"),
    ("gaokao-bench", None, 1): (
        0,
        ("以下是中国高考物理单项选择题，请选出其中的正确答案。\n\n1. What?\nA. a B. b C. c D. d\n答案：B\n\n"
        "1. What?\nA. a B. b C. c D. d\n答案："),
    ),
    ("gaokao-bench", "opencompass_ppl", 0): (0, "Choose: 1. What?\nA. a B. b C. c D. d\n\n【答案】"),
    ("gaokao-english", None, 1): (
        0,
        ("The following are multiple choice questions (with answers) about  gaokao english.\n\n"
        "It's <41> today.\n<41>\nA. hot\nB. by\nC. go\nAnswer: A\n\nIt's <41> today.\n<41>\nA. hot\nB. by\nC. go\nAnswer:"),
    ),
    ("race", None, 0): (
        1,
        ("Read the article, and answer the question by replying A, B, C or D.\n\nArticle:\nTim has a dog.\n\n"
        "Q: What has Tim?\n\nA. a cat\nB. a dog\nC. a car\nD. a hat\nA:"),
    ),
    ("commonsenseqa", None, 1): (
        0,
        "Question: Where do fish live?\nAnswer: \nthe sea\n\n\n\n\nQuestion: Where do fish live?\nAnswer: \n",
    ),
    ("commonsenseqa", "opencompass_ppl_letter", 0): (
        0,
        "Question: Where do fish live?\nA. bank\nB. the sea\nC. a\nD. an ox\nE. up\nAnswer: \n",
    ),
    ("piqa", None, 0): (0, "The following makes sense: \nQ: Open a door.\nA:"),
    ("piqa", "conditional", 0): (0, "Question: Open a door.\nAnswer:"),
    ("gsm8k", None, 2): (
        0,
        ("Question: q0\nAnswer:\na0\nThe answer is 0\n\nQuestion: q1\nAnswer:\na1\nThe answer is 1\n\n"
        "Question: Tim has 2 cows and buys 3. How many?\nLet's think step by step\nAnswer:"),
    ),
    ("humaneval", None, 0): (0, 'Complete the following python code:\ndef add(a, b):\n    """The sum."""\n'),
    ("humaneval", "openai", 0): (0, 'def add(a, b):\n    """The sum."""\n'),
}  # fmt: skip


@pytest.mark.parametrize("which", PROMPTS, ids=str)
def test_prompt(data, which):
    place, expected = PROMPTS[which]
    assert whole(load(data, *which)[place]) == expected


@pytest.mark.parametrize(
    "name, protocol, expected",
    [
        ("mmlu", None, (" A", " B", " C", " D")),
        ("ceval", None, ("A", "B", "C", "D")),
        ("cmmlu", "official", ("A", "B", "C", "D")),
        ("cmmlu", None, (" A", " B", " C", " D")),
        ("agieval", None, (" A", " B")),
        ("agieval", "zero_shot", ("A", "B")),
        ("gaokao-bench", "opencompass_ppl", ("A <eoa>", "B <eoa>", "C <eoa>", "D <eoa>")),
        ("gaokao-english", None, (" A", " B", " C")),
        ("commonsenseqa", None, ("bank", "the sea", "a", "an ox", "up")),
        ("piqa", None, (" Turn the key.\n", " Eat the old wooden key, then sleep.\n")),
    ],
)
def test_candidates(data, name, protocol, expected):
    assert load(data, name, protocol)[0].candidates == expected


def test_agieval_leaves_out_several_answers(data):
    ids = [question.id for question in load(data, "agieval")]
    assert ids == ["agieval/gaokao-physics/0", "agieval/gaokao-physics/2", "agieval/sat-math/0", "agieval/sat-math/1"]


def test_gaokao_bench_shots_are_not_scored(data):
    questions = load(data, "gaokao-bench")
    assert [question.id[-1] for question in questions] == ["6", "7"]
    assert questions[0].weight == 6


def test_race_reads_one_question_a_line(data):
    questions = load(data, "race")
    lines = [
        {"example_id": q.name, "article": "Tim has a dog.", "answer": q.gold, "question": text, "options": options}
        for q, text, options in zip(
            questions,
            ["Who has a dog?", "What has Tim?"] * 2,
            [["Tim", "Ann", "Sue", "Bob"], ["a cat", "a dog", "a car", "a hat"]] * 2,
        )
    ]
    folder = data / "lines" / "test"
    folder.mkdir(parents=True)
    (folder / "middle.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    task = TASKS["race"]
    again = task.load(data / "lines", task.protocol(), 0)
    assert [(q.id, whole(q), q.gold, q.name) for q in again] == [(q.id, whole(q), q.gold, q.name) for q in questions]
    assert [question.name for question in questions] == ["2.txt", "2.txt", "10.txt", "10.txt"]


def test_humaneval_reads_gzip(data):
    path = data / "humaneval" / "HumanEval.jsonl"
    expected = load(data, "humaneval")[0].id
    with gzip.open(data / "humaneval" / "HumanEval.jsonl.gz", "wb") as file:
        file.write(path.read_bytes())
    path.unlink()
    assert load(data, "humaneval")[0].id == expected


@pytest.mark.parametrize(
    "file, old, new, expected",
    [
        ("mmlu/test/philosophy_test.csv", "the fish,B", "the fish,X", "philosophy_test.csv:1: the answer is 'X'"),
        ("mmlu/test/philosophy_test.csv", ",milk,C", ",C", "philosophy_test.csv:4: a row of 5 columns, expected 6"),
        ("mmlu/test/philosophy_test.csv", None, "", "philosophy_test.csv: no rows"),
        ("mmlu/test/philosophy_test.csv", None, 'a,"b', "philosophy_test.csv:1: no CSV: "),
        ("mmlu/test/philosophy_test.csv", None, b"a\n\xff", "philosophy_test.csv:2: byte 0xff is not UTF-8"),
        ("mmlu/dev/philosophy_dev.csv", None, "q,a,b,c,d,A\n", "philosophy_dev.csv: 1 rows, expected 5 for the shots"),
        ("mmlu/dev/philosophy_dev.csv", None, None, "philosophy_dev.csv: not found; published at https://people.eecs"),
        ("ceval/val/law_val.csv", "id,question", "no,question", "law_val.csv:1: the header is "),
        ("ceval/val/law_val.csv", "fish,B", "fish,", "law_val.csv:2: the answer is '', expected a letter from A to D"),
        ("cmmlu/test/agronomy.csv", "fish,B", "fish,E", "agronomy.csv:2: the answer is 'E'"),
        (
            "agieval/v1/sat-math.jsonl",
            '"B"',
            '"C"',
            "sat-math.jsonl:1: the answer is 'C', expected a letter from A to B",
        ),
        ("agieval/v1/sat-math.jsonl", "{", "[", "sat-math.jsonl:1: no JSON"),
        ("agieval/few_shot_prompts.csv", "{'passage'", "{{'passage'", "few_shot_prompts.csv:2: no Python literal"),
        (
            "gaokao-bench/Objective_Questions/2010-2022_Physics_MCQs.json",
            '"B"',
            '"E"',
            "example 1: the answer is ['E']",
        ),
        (
            "gaokao-english/2019_quanguojuan1/processed_cloze_choice.jsonl",
            "'hot'}",
            "'cold'}",
            ":1: the answer is 'cold'",
        ),
        ("gaokao-english/2021_xingaokao1/processed_cloze_choice.jsonl", None, None, "cloze_choice.jsonl: not found"),
        ("race/test/middle/10.txt", '"answers": ["A", "B"]', '"answers": ["A"]', "10.txt: expected lists questions"),
        ("commonsenseqa/dev_rand_split.jsonl", '"B", "id"', '"F", "id"', "dev_rand_split.jsonl:1: the answer is 'F'"),
        ("gaokao-bench/Objective_Questions/2010-2022_Physics_MCQs.json", None, "{\n\n]", "MCQs.json:3: no JSON: "),
        ("piqa/valid-labels.lst", "1", "2", "valid-labels.lst:2: '2', expected 0 or 1"),
        ("piqa/valid-labels.lst", "1\n", "", "valid-labels.lst: 1 labels, expected 2"),
        ("gsm8k/test.jsonl", "#### 5", "5", "test.jsonl:1: the answer does not end with #### and a whole number"),
        ("gsm8k/gsm8k_gen_1d7fe4.py", "role", "roll", "gsm8k_gen_1d7fe4.py: 0 shots, expected 4"),
        ("humaneval/HumanEval.jsonl", '"add"', '"add)"', "HumanEval.jsonl:1: entry_point is 'add)', expected a name"),
    ],
)
def test_error_names_file_and_line(data, file, old, new, expected):
    path = data / file
    if new is None:
        path.unlink()
    elif old is None:
        path.write_bytes(new if isinstance(new, bytes) else new.encode())
    else:
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(DataError) as caught:
        load(data, file.split("/")[0])
    assert expected in str(caught.value)
    assert str(data) in str(caught.value)
