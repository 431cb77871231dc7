"""What is taken from generated texts."""

from types import SimpleNamespace

import pytest

from xverse.evaluation import TASKS
from xverse.evaluation.tasks import humaneval


@pytest.mark.parametrize(
    "text, gold, answer_2023, answer_2026, right",
    [
        ("It is 7.", "7", "7", "7", (True, True, True)),
        ("So $2,500 in all.", "2500", "2500", "500", (True, False, True)),
        ("It is 2.50", "2", "250", "2.50", (False, False, False)),
        ("It is -3", "3", "3", "-3", (True, False, False)),
        ("Say 4\n\nNo, 5", "5", "4", "5", (False, True, True)),
        ("8 cows\nQuestion: 9?", "8", "9", "8", (False, True, True)),
        ("none", "0", "", "NULL", (False, False, False)),
        ("6.0", "6", "60", "6.0", (False, True, True)),
    ],
)
def test_gsm8k(text, gold, answer_2023, answer_2026, right):
    task = TASKS["gsm8k"]
    verdict = task.judge(SimpleNamespace(gold=gold), task.protocol(), text)
    details = verdict.details
    assert (details["answer_2023"], details["answer_2026"]) == (answer_2023, answer_2026)
    assert (details["correct_2023"], details["correct_2026"], details["correct_number"]) == right
    assert (verdict.pred, verdict.correct) == (answer_2023, right[0])


BODY = "    return a + b\n"


@pytest.mark.parametrize(
    "rule, text, expected",
    [
        ("openai", BODY + "\ndef more():", BODY),
        ("openai", BODY + "\nprint(1)\nclass X", BODY),
        ("openai", BODY, BODY),
        ("opencompass", BODY + "\nmore", "    return a + b"),
        ("opencompass", "Text:\n```python\n    return 1\n```\nmore", "    return 1\n"),
        ("opencompass", "```\n    return 1", "    \n        return 1"),
        ("opencompass", "import os\ndef add(a, b):\n    return 1", "    return 1"),
        ("opencompass", "def add(a, b):\n    return 1", "    return 1"),
        ("opencompass", " return 1", "    return 1"),
        ("opencompass", "x = 1\nreturn x", "    x = 1\n    return x"),
        ("opencompass_2026", "Text:\n```python\n    return 1\n```", "return 1\n"),
        ("opencompass_2026", BODY, "return a + b\n"),
    ],
)
def test_humaneval_completion(rule, text, expected):
    assert humaneval.COMPLETIONS[rule](text) == expected


@pytest.mark.parametrize(
    "text, result", [(BODY, "passed"), ("    return a - b\n", "failed"), ("    exit(0)\n", "failed")]
)
def test_humaneval_judges_by_the_tests(data, text, result):
    task = TASKS["humaneval"]
    (question,) = task.load(data / "humaneval", task.protocol("openai"), 0)
    verdict = task.judge(question, task.protocol("openai"), text)
    assert (verdict.pred, verdict.correct) == (result, result == "passed")
