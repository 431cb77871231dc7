"""Averages, standard errors, differences."""

import itertools
import math

import pytest

from xverse.evaluation import difference, summarize
from xverse.evaluation.compare import mcnemar


def record(name, subject, correct, category=("c",), weight=None, pred="A"):
    found = {"id": name, "subject": subject, "category": list(category), "correct": correct, "pred": pred,
             "gold": "A", "prompt_sha256": ""}  # fmt: skip
    return found if weight is None else {**found, "weight": weight}


RECORDS = [
    record("1", "a", True, weight=6),
    record("2", "a", False, weight=6),
    record("3", "a", True),
    record("4", "b", False, ["c", "d"]),
]


def test_averages():
    found = summarize(RECORDS)
    assert found.micro.value == 2 / 4
    assert found.micro.standard_error == math.sqrt(0.5 * 0.5 / 4)
    assert found.subjects.value == pytest.approx((2 / 3 + 0) / 2)
    assert found.subjects.standard_error == pytest.approx(math.sqrt(2 / 3 * 1 / 3 / 3) / 2)
    assert found.categories.value == (2 / 4 + 0) / 2
    assert found.weighted.value == pytest.approx(7 / 14)
    assert found.by_category["c"]["subjects"].value == pytest.approx(1 / 3)
    assert {name: part.n for name, part in found.by_subject.items()} == {"a": 3, "b": 1}


def test_other_rules():
    found = summarize([{**each, "pred_cond": "A", "correct_2026": False} for each in RECORDS])
    assert found.others["pred_cond"].value == 1
    assert found.others["correct_2026"].value == 0


def runs(before, after, subjects=None):
    subjects = subjects or ["s"] * len(before)
    return [
        {str(n): record(str(n), subject, right, [subject], pred="A" if right else "B")
         for n, (subject, right) in enumerate(zip(subjects, rights))}
        for rights in (before, after)
    ]  # fmt: skip


def test_difference_is_paired():
    first, second = runs([True, True, False, False, True], [True, False, True, True, True])
    found = difference(first, second)
    gains = [0, -1, 1, 1, 0]
    mean = sum(gains) / 5
    error = math.sqrt(sum((gain - mean) ** 2 for gain in gains)) / 5
    assert found.value == pytest.approx(mean)
    assert found.standard_error == pytest.approx(error)
    assert (found.low, found.high) == pytest.approx((mean - 1.96 * error, mean + 1.96 * error), abs=1e-4)
    assert (found.won, found.lost, found.n) == (2, 1, 5)
    assert found.changed == ["1", "2", "3"]


@pytest.mark.parametrize("average", ["micro", "subjects", "categories", "weighted"])
def test_difference_is_that_of_the_averages(average):
    first, second = runs([True, False, False, True], [True, True, True, False], ["a", "a", "a", "b"])
    before, after = (getattr(summarize(list(run.values())), average).value for run in (first, second))
    assert difference(first, second, average).value == pytest.approx(after - before)


def test_difference_counts_what_cannot_be_paired():
    first, second = runs([True, True], [True, True])
    second["9"] = second.pop("0")
    second["1"] = {**second["1"], "prompt_sha256": "other"}
    found = difference(first, second)
    assert (found.n, found.n_other, found.n_prompts) == (1, 2, 1)
    with pytest.raises(ValueError, match="no question in common"):
        difference(first, {})


@pytest.mark.parametrize("won, lost", [(0, 0), (3, 3), (1, 5), (7, 0)])
def test_mcnemar_counts_splits(won, lost):
    total = won + lost
    splits = [sum(split) for split in itertools.product((0, 1), repeat=total)]
    as_uneven = sum(abs(2 * ones - total) >= abs(won - lost) for ones in splits)
    assert mcnemar(won, lost) == pytest.approx(as_uneven / len(splits))
