"""XverseLM, as lm-evaluation-harness calls it; skipped where that is not installed."""

import math
from types import SimpleNamespace

import pytest

pytest.importorskip("lm_eval")

from xverse.evaluation.lm_eval import XverseLM


@pytest.fixture(scope="module")
def lm(model):
    return XverseLM(model=model, max_length=64)


def requests(*arguments):
    return [SimpleNamespace(args=each) for each in arguments]


def expected(model, before, after):
    """Log-probability and greediness, from logits alone."""
    total, greedy = 0.0, True
    with model.session() as session:
        session.eval(before)
        for token in after:
            logits = [float(value) for value in session.logits()]
            most = max(logits)
            total += logits[token] - most - math.log(math.fsum(math.exp(value - most) for value in logits))
            greedy = greedy and logits[token] == most
            session.eval([token])
    return total, greedy


def test_loglikelihood(lm, model):
    encode = model.tokenizer.encode
    best = model.generate("Once upon", do_sample=False, repetition_penalty=1.0, max_new_tokens=3).text
    pairs = [
        ("Once upon", best),
        ("A dog", " ran"),
        ("Once upon", " a car"),
        ("A dog ", "ran"),
        ("A dog", " sat on it"),
    ]
    found = lm.loglikelihood(requests(*pairs))
    for (context, continuation), (logprob, greedy) in zip(pairs, found):
        before = encode(context.rstrip())
        after = encode(context + continuation)[len(before) :]
        wanted = expected(model, before, after)
        assert logprob == pytest.approx(wanted[0], abs=1e-4)
        assert greedy == wanted[1]
    assert found[1] == found[3]


def test_loglikelihood_without_context(lm, model):
    ((logprob, _),) = lm.loglikelihood(requests(("", "A dog")))
    wanted = expected(model, [lm.prefix_token_id], model.tokenizer.encode("A dog"))
    assert logprob == pytest.approx(wanted[0], abs=1e-4)


def test_loglikelihood_cuts_on_the_left(model):
    short = XverseLM(model=model, max_length=8)
    text = "One day a dog ran to the big house and sat."
    ((logprob, _),) = short.loglikelihood(requests((text, " It ran")))
    ids = model.tokenizer.encode(text + " It ran")
    after = ids[len(model.tokenizer.encode(text)) :]
    wanted = expected(model, ids[-9 : -len(after)], after)
    assert logprob == pytest.approx(wanted[0], abs=1e-4)
    with pytest.raises(ValueError, match="expected at most max_length, 8"):
        short.loglikelihood(requests(("A", " dog ran to the big house and sat on it and ran")))


@pytest.mark.parametrize("length", [4, 7, 64])
def test_rolling_scores_each_token_once(model, length):
    text = "Once upon a time there was a little dog."
    (found,) = XverseLM(model=model, max_length=length).loglikelihood_rolling(requests((text,)))
    lm = XverseLM(model=model)
    ids = [lm.prefix_token_id, *model.tokenizer.encode(text)]
    total = 0.0
    for start in range(1, len(ids), length):
        end = min(start + length, len(ids))
        total += expected(model, ids[max(0, end - 1 - length) : start], ids[start:end])[0]
    assert found == pytest.approx(total, abs=1e-3)


def test_generate_until(lm, model):
    options = {"until": ["."], "max_gen_toks": 12, "do_sample": False}
    before = dict(options)
    texts = lm.generate_until(requests(("Once upon", options), ("A dog", options), ("A dog", {"max_gen_toks": 3})))
    greedy = {"do_sample": False, "repetition_penalty": 1.0}
    assert texts[0] == model.generate("Once upon", max_new_tokens=12, stop=["."], **greedy).text
    assert texts[1] == model.generate("A dog", max_new_tokens=12, stop=["."], **greedy).text
    assert texts[2] == model.generate("A dog", max_new_tokens=3, **greedy).text
    assert options == before


def test_chat_template(lm, model):
    text = lm.apply_chat_template([{"role": "user", "content": "Hello"}])
    assert text == model.tokenizer.decode(model.prompt_tokens([("user", "Hello")]))
    assert text.startswith(lm.apply_chat_template([{"role": "user", "content": "Hello"}], add_generation_prompt=False))


def test_lm_eval_finds_it(path, tmp_path):
    import json

    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    rows = [{"q": "The dog", "right": "ran", "wrong": "xylophone quartz"}] * 2
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (tmp_path / "small.yaml").write_text(
        "task: small\ndataset_path: json\ndataset_kwargs:\n  data_files:\n"
        f"    test: {tmp_path / 'rows.jsonl'}\ntest_split: test\noutput_type: multiple_choice\n"
        'doc_to_text: "{{q}}"\ndoc_to_choice: ["ran", "xylophone quartz"]\ndoc_to_target: 0\n'
        "metric_list:\n  - metric: acc\n",
        encoding="utf-8",
    )
    found = simple_evaluate(
        model="xverse", model_args=f"pretrained={path},max_length=64", tasks=["small"],
        task_manager=TaskManager(include_path=str(tmp_path)),
    )  # fmt: skip
    assert found["results"]["small"]["acc,none"] == 1.0
