"""Which shots fit, and where candidates begin."""

import pytest

from xverse.evaluation import Protocol, Question
from xverse.evaluation.encoding import Encoder, common


def question(shots, item="Say it.", candidates=(" A", " B"), head="Head.\n"):
    return Question("t/s/0", "s", (), head, tuple(shots), lambda _: item, tuple(candidates), "A")


def protocol(fit="prefix"):
    return Protocol("p", "", "loglikelihood", 5, fit=fit)


@pytest.mark.parametrize("dropped", [0, 1, 3])
def test_drops_shots_from_the_end(model, dropped):
    asked = question(["A dog ran. "] * 3)
    count = len(model.tokenizer.encode(asked.prompt(range(3 - dropped))))
    encoded = Encoder(model, protocol(), count).encode(asked)
    assert encoded.kept == tuple(range(3 - dropped))
    assert encoded.prompt_tokens == count
    assert encoded.left_truncated == 0


def test_cuts_on_the_left_when_nothing_fits(model):
    asked = question([], item="One two three four five six seven.")
    ids = model.tokenizer.encode(asked.prompt([]))
    encoded = Encoder(model, protocol(), 4).encode(asked)
    assert encoded.ids == ids[-4:]
    assert encoded.left_truncated == len(ids) - 4
    assert encoded.prompt_tokens == len(ids)


def test_longest_drops_the_longest(model):
    shots = ["A dog ran. ", "A dog ran and ran and ran and ran and ran. ", "A cat ran. "]
    asked = question(shots)
    room = sum(len(model.tokenizer.encode(part)) for part in (asked.head, "Say it.", shots[0], shots[2]))
    assert Encoder(model, protocol("longest"), room + 1).encode(asked).kept == (0, 2)
    # Both that are left are equally long.
    assert Encoder(model, protocol("longest"), room).encode(asked).kept == ()


def test_longest_keeps_the_question_alone(model):
    asked = question(["A dog ran. "])
    alone = len(model.tokenizer.encode("Say it."))
    encoded = Encoder(model, protocol("longest"), alone).encode(asked)
    assert encoded.prompt_tokens == alone


def test_candidates_begin_where_they_differ(model):
    asked = question([], candidates=("dogs", "dog's"), item="two ")
    encoded = Encoder(model, protocol(), 64).encode(asked)
    whole = [model.tokenizer.encode("Head.\ntwo " + text) for text in asked.candidates]
    assert [encoded.ids + ids for ids in encoded.candidates] == whole
    prompt = model.tokenizer.encode("Head.\ntwo ")
    assert encoded.ids == prompt[: len(encoded.ids)]


def test_chat_is_a_message(model):
    encoded = Encoder(model, protocol(), 64, chat=True).encode(question([]))
    assert encoded.ids == model.prompt_tokens([("user", "Head.\nSay it.")])
    assert encoded.candidates == [model.tokenizer.encode("A"), model.tokenizer.encode("B")]


@pytest.mark.parametrize("left, right", [([], [1]), ([1, 2, 3], [1, 2, 4, 5]), ([1], [2]), ([1, 2], [1, 2, 3])])
def test_common(left, right):
    expected = next((i for i, (a, b) in enumerate(zip(left, right)) if a != b), min(len(left), len(right)))
    assert common(left, right) == expected
