"""Runs: records, errors of one task, going on after a kill, questions chosen."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from evaluation_data import WRITERS, write_mmlu

import xverse
from xverse.evaluation import TASKS, DataError, Options, evaluate
from xverse.evaluation.journal import Journal, read_records

SCORED = [name for name in WRITERS if TASKS[name].protocols[0].scoring != "generate"]


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_runs_every_scored_protocol(model, data, tmp_path):
    names = [f"{name}.{protocol.name}" for name in SCORED for protocol in TASKS[name].protocols]
    results = evaluate(model, names, data, output=tmp_path / "out")
    assert [result.error for result in results] == [None] * len(names)
    for result in results:
        records = lines(tmp_path / "out" / f"{result.label}.jsonl")
        assert {record["id"] for record in records} == set(result.records)
        for record in records:
            best = max(record["candidates"], key=lambda each: -each["loss"] if "loss" in each else each["logprob"])
            assert record["candidates"]["ABCDE".index(record["pred"])] == best
            assert record["correct"] == (record["pred"] == record["gold"])
            assert record["margin"] >= 0


def test_generates_and_judges(model, data):
    options = Options(max_new_tokens=20, allow_code_execution=True)
    gsm8k, humaneval = evaluate(model, ["gsm8k", "humaneval"], data, options=options)
    for result in (gsm8k, humaneval):
        assert result.error is None
    record = gsm8k.records["gsm8k/test/0"]
    prompt = "".join(f"Question: q{n}\nAnswer:\na{n}\nThe answer is {n}\n\n" for n in range(4))
    prompt += "Question: Tim has 2 cows and buys 3. How many?\nLet's think step by step\nAnswer:"
    expected = model.generate(prompt, do_sample=False, repetition_penalty=1.0, max_new_tokens=20)
    assert (record["text"], record["ids"]) == (expected.text, expected.tokens)
    assert humaneval.records["humaneval/test/0"]["pred"] in ("passed", "failed")


def test_chat_asks_in_the_models_form(model, data):
    options = Options(chat=True, num_shots=1, max_new_tokens=8)
    mmlu, gsm8k = evaluate(model, ["mmlu", "gsm8k"], data, options=options)
    task = TASKS["mmlu"]
    question = task.load(data / "mmlu", task.protocol(), 1)[0]
    ids = model.prompt_tokens([("user", question.prompt([0]))])
    record = mmlu.records[question.id]
    assert record["prompt_tokens"] == len(ids)
    with model.session() as session:
        session.eval(ids)
        expected = [session.fork().score(model.tokenizer.encode(letter))[0] for letter in "ABCD"]
    assert [each["logprob"] for each in record["candidates"]] == pytest.approx(expected, abs=1e-4)
    prompt = [("user", ("Question: q0\nAnswer:\na0\nThe answer is 0\n\n"
               "Question: Tim has 2 cows and buys 3. How many?\nLet's think step by step\nAnswer:"))]  # fmt: skip
    answer = model.generate(prompt, do_sample=False, repetition_penalty=1.0, max_new_tokens=8)
    assert gsm8k.records["gsm8k/test/0"]["text"] == answer.text


def test_code_needs_permission(model, data):
    (result,) = evaluate(model, ["humaneval"], data)
    assert "allow_code_execution is not set" in result.error


def test_an_error_leaves_the_other_tasks_alone(model, data):
    (data / "ceval" / "val" / "law_val.csv").unlink()
    (data / "ceval" / "val" / "logic_val.csv").write_text("id,question\n", encoding="utf-8")
    bad, good = evaluate(model, ["ceval", "piqa"], data)
    assert "logic_val.csv:1: the header is" in bad.error
    assert bad.summary is None
    assert good.summary.micro.n == 2


@pytest.mark.parametrize("tail", [b"", b'{"id": "mmlu/high_sch', b'{"id": "mmlu/philosophy/0", "subject": "x"}'])
def test_goes_on_behind_the_last_whole_line(model, data, tmp_path, tail):
    first, again = tmp_path / "first", tmp_path / "again"
    (expected,) = evaluate(model, ["mmlu"], data, output=first)
    again.mkdir()
    whole = (first / "mmlu.jsonl").read_bytes().splitlines(keepends=True)
    (again / "mmlu.jsonl").write_bytes(b"".join(whole[:2]) + tail)
    (again / "mmlu.settings.json").write_bytes((first / "mmlu.settings.json").read_bytes())
    (result,) = evaluate(model, ["mmlu"], data, output=again)
    assert result.n_evaluated == len(whole) - 2
    assert result.records == expected.records
    assert result.summary == expected.summary
    assert sorted((again / "mmlu.jsonl").read_bytes().splitlines()) == sorted(line.rstrip() for line in whole)


def test_goes_on_after_a_kill(model, path, data, tmp_path):
    write_mmlu(data / "mmlu", 60)
    command = [sys.executable, "-m", "xverse.evaluation", path, "--tasks", "mmlu", "--data", str(data), "--output",
               str(tmp_path / "out")]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(Path(xverse.__file__).parents[1])}
    lines_path = tmp_path / "out" / "mmlu.jsonl"
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and not (lines_path.exists() and lines_path.read_bytes().count(b"\n") >= 5):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = lines_path.read_bytes().count(b"\n")
    assert before < 120
    (result,) = evaluate(model, ["mmlu"], data, output=tmp_path / "out")
    assert result.n_evaluated == 120 - before
    (expected,) = evaluate(model, ["mmlu"], data)
    assert result.records == expected.records


def test_does_not_go_on_with_other_settings(model, data, tmp_path):
    evaluate(model, ["mmlu"], data, output=tmp_path / "out")
    (result,) = evaluate(model, ["mmlu"], data, output=tmp_path / "out", options=Options(num_shots=2))
    assert "num_shots was 5 in the run that is to go on, now it is 2" in result.error


def test_goes_on_with_more_questions(model, data, tmp_path):
    evaluate(model, ["mmlu"], data, output=tmp_path / "out", options=Options(limit=2))
    (whole,) = evaluate(model, ["mmlu"], data, output=tmp_path / "out")
    assert (whole.n_evaluated, len(whole.records)) == (2, 6)
    (part,) = evaluate(model, ["mmlu"], data, output=tmp_path / "out", options=Options(limit=1))
    assert (part.n_evaluated, len(part.records), part.summary.micro.n) == (0, 2, 2)


def test_does_not_go_on_with_other_data(model, data, tmp_path):
    evaluate(model, ["piqa"], data, output=tmp_path / "out")
    path = data / "piqa" / "valid.jsonl"
    path.write_text(path.read_text(encoding="utf-8").replace("Open", "Close"), encoding="utf-8")
    (result,) = evaluate(model, ["piqa"], data, output=tmp_path / "out")
    assert "piqa/valid/0 was asked with another prompt" in result.error


def test_journal_names_a_damaged_line(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text('{"id": 1}\n', encoding="utf-8")
    with pytest.raises(DataError, match=r"x\.jsonl:1: no record with id, "):
        read_records(path)
    with pytest.raises(DataError, match=r"x\.jsonl:1: no record with id, "):
        Journal(path)
    assert path.read_text(encoding="utf-8") == '{"id": 1}\n'


def test_journal_has_one_run(tmp_path):
    with Journal(tmp_path / "x.jsonl"), pytest.raises(DataError, match="another run is writing"):
        Journal(tmp_path / "x.jsonl")


def test_goes_on_with_texts_that_are_no_unicode(model, data, tmp_path):
    path = data / "piqa" / "valid.jsonl"
    path.write_text(path.read_text(encoding="utf-8").replace("Turn", "\\ud800"), encoding="utf-8")
    (first,) = evaluate(model, ["piqa"], data, output=tmp_path / "out")
    (again,) = evaluate(model, ["piqa"], data, output=tmp_path / "out")
    assert first.error is None
    assert again.records == first.records
    assert again.n_evaluated == 0


def test_limit_takes_the_first_of_each_subject(model, data):
    (result,) = evaluate(model, ["mmlu"], data, options=Options(limit=2))
    assert sorted(result.records) == [
        f"mmlu/{name}/{n}" for name in ("high_school_biology", "philosophy") for n in (0, 1)
    ]


def test_seed_draws(model, data):
    write_mmlu(data / "mmlu", 40)
    drawn = [set(evaluate(model, ["mmlu"], data, options=Options(limit=3, seed=seed))[0].records) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert len(drawn[0]) == 6


@pytest.mark.parametrize("names, expected", [(["x"], "there is no task 'x'"), (["mmlu.x"], "no protocol 'x'"),
                                             (["mmlu", "mmlu.official"], "mmlu is given twice")])  # fmt: skip
def test_unknown_names(model, data, names, expected):
    with pytest.raises(ValueError, match=expected):
        evaluate(model, names, data)


@pytest.mark.parametrize("options", [{"limit": 0}, {"num_shots": -1}, {"context": 1}, {"max_new_tokens": 0}])
def test_option_out_of_range(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))} is "):
        Options(**options)
