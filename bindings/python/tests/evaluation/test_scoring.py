"""Scorer: sharing changes no log-probability."""

import math
import random

import pytest

from xverse.evaluation.encoding import Encoded
from xverse.evaluation.scoring import Scorer


def encoded(ids, candidates):
    return Encoded(None, (), "", len(ids), len(ids), 0, list(ids), [list(each) for each in candidates])


def one_by_one(model, question):
    with model.session() as session:
        nll = -math.fsum(session.score(question.ids))
        values = []
        for candidate in question.candidates:
            with session.fork() as fork:
                values.append(math.fsum(fork.score(candidate)))
    return values, nll


@pytest.fixture(scope="module")
def questions():
    """Prompts that share nothing, a long beginning, and beginnings inside beginnings; one prompt twice."""
    draw = random.Random(7)

    def some(count):
        return [draw.randrange(10, 2000) for _ in range(count)]

    first, second = some(90), some(70)
    prompts = [some(20), some(5)]
    prompts += [first + some(draw.randrange(1, 30)) for _ in range(20)]
    prompts += [first + second + some(draw.randrange(1, 9)) for _ in range(5)]
    prompts += [first, prompts[3]]
    return [encoded(ids, [some(1), some(1), some(4), []]) for ids in prompts]


@pytest.mark.parametrize("whole", [False, True])
def test_equals_one_by_one(model, questions, whole):
    found = list(Scorer(model, 512, whole=whole).score(questions))
    assert len(found) == len(questions)
    assert {id(each.encoded) for each in found} == set(map(id, questions))
    for each in found:
        values, nll = one_by_one(model, each.encoded)
        assert each.logprobs == pytest.approx(values, abs=1e-4)
        assert each.nll == pytest.approx(nll if whole else 0, abs=1e-3)


def test_evaluates_shared_beginnings_once(model, questions, monkeypatch):
    import xverse

    evaluated = []
    run, run_batch = xverse.Session.eval, xverse.Session.eval_batch
    monkeypatch.setattr(xverse.Session, "eval", lambda self, ids: (evaluated.append(len(ids)), run(self, ids))[1])
    monkeypatch.setattr(
        xverse.Session, "eval_batch",
        staticmethod(lambda sessions, ids: (evaluated.extend(map(len, ids)), run_batch(sessions, ids))[1]),
    )  # fmt: skip
    single = [encoded(each.ids, [[5]]) for each in questions]
    list(Scorer(model, 512).score(single))
    assert sum(evaluated) < sum(len(each.ids) for each in single) / 2


@pytest.mark.parametrize("lengths", [(2, 3, 3, 2, 1, 0), (2, 3) * 20, (40, 3)])
def test_long_candidates(model, lengths):
    """In shared passes, and each on its own."""
    draw = random.Random(3)
    questions = [
        encoded([draw.randrange(10, 2000) for _ in range(12)],
                [[draw.randrange(10, 2000) for _ in range(length)] for length in lengths])
        for _ in range(2)
    ]  # fmt: skip
    for each in Scorer(model, 512).score(questions):
        assert each.logprobs == pytest.approx(one_by_one(model, each.encoded)[0], abs=1e-3)


@pytest.mark.parametrize("others", [0, 8])
def test_greedy(model, others):
    prompt = model.tokenizer.encode("Once upon a time")
    best = model.generate(prompt, do_sample=False, repetition_penalty=1.0, max_new_tokens=4).tokens
    answers = [best, best[:1], [*best[:2], best[2] ^ 1, best[3]], [best[0] ^ 1]]
    # With few answers each has passes of its own.
    answers += [[7, 8]] * others
    (found,) = Scorer(model, 64, greedy=True).score([encoded(prompt, answers)])
    assert found.greedy == [True, True, False, False] + [False] * others
    assert found.logprobs == pytest.approx(one_by_one(model, found.encoded)[0], abs=1e-4)
