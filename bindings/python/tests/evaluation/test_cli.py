"""The command xverse-eval, and the reports it writes."""

import html.parser
import json

import pytest

from xverse.evaluation.cli import main
from xverse.evaluation.progress import duration, line


class Checked(html.parser.HTMLParser):
    """Finds elements that are not closed, and what a page loads."""

    def __init__(self, text):
        super().__init__()
        self.open, self.loads, self.bars = [], [], 0
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        if tag != "meta":
            self.open.append(tag)
        self.loads += [value for name, value in attributes if name in ("src", "href")]
        self.bars += any(name == "class" and value.startswith("bar") for name, value in attributes)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture
def out(path, data, tmp_path):
    assert (
        main(
            [path, "--tasks", "mmlu,cmmlu.official", "--data", str(data), "--output", str(tmp_path / "out"), "--quiet"]
        )
        == 0
    )
    return tmp_path / "out"


def test_writes_results(out, path, data, capsys):
    # What is there already is only summed up.
    assert main([path, "--tasks", "mmlu,cmmlu.official", "--data", str(data), "--output", str(out), "--quiet"]) == 0
    text = capsys.readouterr().out
    results = json.loads((out / "results.json").read_text(encoding="utf-8"))["tasks"]
    assert list(results) == ["mmlu", "cmmlu.official"]
    figure = results["mmlu"]
    assert figure["result"] == figure["summary"]["categories"]["value"]
    assert figure["n_evaluated"] == 0
    assert f"{figure['result'] * 100:.2f} ± {figure['standard_error'] * 100:.2f}" in text
    assert "| mmlu | official | 5 | 6 |" in (out / "report.md").read_text(encoding="utf-8")
    page = Checked((out / "report.html").read_text(encoding="utf-8"))
    assert page.open == page.loads == []
    assert page.bars == 3  # two subjects and one


def test_results_of_other_tasks_stay(out, path, data):
    assert main([path, "--tasks", "piqa", "--data", str(data), "--output", str(out), "--quiet"]) == 0
    assert set(json.loads((out / "results.json").read_text())["tasks"]) == {"mmlu", "cmmlu.official", "piqa"}


def test_compare(out, path, data, tmp_path, capsys):
    second = tmp_path / "second"
    words = [path, "--tasks", "mmlu", "--data", str(data), "--output", str(second), "--quiet", "--num-shots", "0"]
    assert main(words) == 0
    capsys.readouterr()
    assert main(["compare", str(out), str(second), "--output", str(tmp_path / "both")]) == 0
    assert "Differences from out" in capsys.readouterr().out
    page = Checked((tmp_path / "both" / "compare.html").read_text(encoding="utf-8"))
    assert page.open == page.loads == []
    assert "| mmlu | second | 6 |" in (tmp_path / "both" / "compare.md").read_text(encoding="utf-8")


def test_compare_needs_runs(tmp_path, capsys):
    assert main(["compare", str(tmp_path), str(tmp_path)]) == 1
    assert "no files TASK.jsonl" in capsys.readouterr().err
    with pytest.raises(SystemExit) as caught:
        main(["compare", str(tmp_path)])
    assert caught.value.code == 2


def test_a_failed_task_is_in_the_exit_status(path, data, capsys):
    (data / "mmlu" / "test" / "philosophy_test.csv").write_text("a,b\n", encoding="utf-8")
    assert main([path, "--tasks", "mmlu,piqa", "--data", str(data), "--quiet"]) == 1
    told = capsys.readouterr()
    assert "philosophy_test.csv:1: a row of 2 columns, expected 6" in told.err
    assert "50.00" in told.out or "100.00" in told.out or "0.00" in told.out


@pytest.mark.parametrize(
    "words, status, expected",
    [
        (["MODEL", "--tasks", "none", "--data", "."], 2, "there is no task 'none'"),
        (["MODEL", "--tasks", "mmlu", "--data", ".", "--limit", "0"], 2, "limit is 0"),
        (["no-model", "--tasks", "mmlu", "--data", "."], 1, "no-model"),
        (["perplexity", "MODEL", "no-file"], 1, "no-file"),
    ],
)
def test_errors(path, words, status, expected, capsys):
    assert main([path if word == "MODEL" else word for word in words]) == status
    assert expected in capsys.readouterr().err


def test_perplexity(path, model, tmp_path, capsys):
    text = "Once upon a time there was a dog."
    (tmp_path / "text").write_text(text, encoding="utf-8")
    assert main(["perplexity", path, str(tmp_path / "text"), "--stride", "512"]) == 0
    assert f"perplexity {model.perplexity(text).value:.4f}" in capsys.readouterr().out


def test_tasks(capsys):
    assert main(["tasks"]) == 0
    assert "mmlu.official, 5 shots" in capsys.readouterr().out


def test_progress_line():
    assert line("mmlu", 0, 10, 0, 0) == "mmlu 0/10"
    assert line("mmlu", 4, 10, 1, 0.5) == "mmlu 4/10  2.00 questions/s  0:03 left  25.0% right so far"
    assert duration(3723) == "1:02:03"
