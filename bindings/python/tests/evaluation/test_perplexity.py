"""sliding_perplexity: every token once, with what its window has before it."""

import math

import pytest

from xverse.evaluation import sliding_perplexity
from xverse.evaluation.perplexity import windows

TEXT = "Once upon a time there was a little dog who lived in a big house with a girl named Ann. " * 3


@pytest.mark.parametrize("context, stride", [(16, 5), (16, 16), (512, None), (2, 1)])
def test_sums_over_windows(model, context, stride):
    ids = model.tokenizer.encode(TEXT)
    losses, known = {}, 1
    for begin in range(0, len(ids), stride or context // 2):
        with model.session() as session:
            scores = session.score(ids[begin : begin + context])
        for place in range(max(known, begin + 1), begin + len(scores)):
            losses[place] = -scores[place - begin]
        known = max(known, begin + len(scores))
        if known >= len(ids):
            break
    found = sliding_perplexity(model, TEXT, context=context, stride=stride)
    mean = math.fsum(losses.values()) / len(losses)
    assert found.n_tokens == len(losses)
    assert found.value == pytest.approx(math.exp(mean), rel=1e-5)
    assert found.bits_per_byte == pytest.approx(mean * len(losses) / math.log(2) / len(TEXT.encode()), rel=1e-5)


def test_is_the_librarys_for_windows_apart(model):
    ids = model.tokenizer.encode(TEXT)
    assert len(ids) <= 512
    expected = model.perplexity(TEXT)
    found = sliding_perplexity(model, TEXT)
    assert found.value == pytest.approx(expected.value, rel=1e-5)


def test_windows():
    assert list(windows(10, 4, 2)) == [(0, 0, 4), (2, 4, 6), (4, 6, 8), (6, 8, 10)]
    assert list(windows(3, 4, 2)) == [(0, 0, 3)]


@pytest.mark.parametrize(
    "text, options, expected",
    [
        ("", {}, "the text has 0 tokens"),
        (TEXT, {"context": 1}, "context is 1"),
        (TEXT, {"context": 8, "stride": 9}, "stride is 9, expected 1 to 8"),
        (TEXT, {"context": 8, "stride": 0}, "stride is 0"),
    ],
)
def test_errors(model, text, options, expected):
    with pytest.raises(ValueError, match=expected):
        sliding_perplexity(model, text, **options)
