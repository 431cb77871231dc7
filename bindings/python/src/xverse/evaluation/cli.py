"""The command xverse-eval."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ..errors import XverseError
from ..model import Model
from .compare import compare_runs, html_comparison, tables_of
from .data import DataError, read
from .perplexity import sliding_perplexity
from .progress import ProgressLine
from .report import write_reports
from .run import Options
from .suite import chosen_tasks, evaluate, write_file
from .tables import as_markdown, as_text, notes, task_tables
from .tasks import TASKS

__all__ = ["main"]

FAILED, USAGE, INTERRUPTED = 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status: 0, 1 when a task failed, 2 for wrong arguments, 130 after Ctrl-C."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    commands = {"compare": compare, "perplexity": perplexity, "tasks": tasks}
    command = commands.get(words[0]) if words else None
    try:
        return run(words) if command is None else command(words[1:])
    except KeyboardInterrupt:
        print("\nxverse-eval: interrupted; the same command with --output goes on", file=sys.stderr)
        return INTERRUPTED
    except (ValueError, OSError, MemoryError, XverseError) as error:
        print(f"xverse-eval: {error}", file=sys.stderr)
        return USAGE if isinstance(error, ValueError) and not isinstance(error, DataError) else FAILED


def run(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="xverse-eval",
        description="Measures a model on benchmarks, as the reference tools ask and score them.",
        epilog="Other commands: xverse-eval compare A B ..., xverse-eval perplexity MODEL FILE, xverse-eval tasks.",
    )
    model_arguments(parser)
    parser.add_argument("--tasks", required=True, metavar="NAME,...", help="tasks, as in mmlu,cmmlu.official")
    parser.add_argument("--data", required=True, metavar="DIR", help="a folder with a folder for each benchmark")
    parser.add_argument(
        "--output", metavar="DIR", help="write DIR/TASK.jsonl and the reports; go on with what is there"
    )
    parser.add_argument("--limit", type=int, metavar="N", help="at most N questions of each subject")
    parser.add_argument(
        "--seed", type=int, metavar="N", help="with --limit: draw the questions; default: the first ones"
    )
    parser.add_argument("--num-shots", type=int, metavar="N", help="solved examples; default: as the protocol says")
    parser.add_argument("--chat", action="store_true", help="ask in the form of a conversation, for chat models")
    parser.add_argument("--context", type=int, metavar="N", help="most tokens of a prompt; default: the model's")
    parser.add_argument("--max-new-tokens", type=int, metavar="N", help="of generated answers; default: the protocol's")
    parser.add_argument("--allow-code-execution", action="store_true", help="run the programs that the model writes")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    given = parser.parse_args(words)
    names = [name for name in given.tasks.split(",") if name]
    chosen_tasks(names)
    options = Options(
        num_shots=given.num_shots, limit=given.limit, seed=given.seed, chat=given.chat, context=given.context,
        max_new_tokens=given.max_new_tokens,
        allow_code_execution=given.allow_code_execution,
    )  # fmt: skip
    model = load(given)
    progress = None if given.quiet else ProgressLine(sys.stderr)
    results = evaluate(model, names, given.data, options=options, output=given.output, progress=progress)
    for table in task_tables(results):
        print(as_text(table))
    for result in results:
        for note in notes(result):
            print(note, file=sys.stderr if result.error else sys.stdout)
    if given.output:
        write_reports(Path(given.output), results, f"{model.info.name} ({model.info.quant})")
    return FAILED if any(result.error for result in results) else 0


def compare(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="xverse-eval compare", description="Compares runs question by question.")
    parser.add_argument("runs", nargs="+", metavar="DIR", help="the --output of runs; the first is compared with")
    parser.add_argument("--output", metavar="DIR", help="write DIR/compare.md and DIR/compare.html")
    given = parser.parse_args(words)
    if len(given.runs) < 2:
        parser.error("one run, expected two or more")
    folders = [Path(name) for name in given.runs]
    names = [folder.name for folder in folders]
    if len(set(names)) < len(names):
        names = list(given.runs)
    found = compare_runs(folders)
    tables = tables_of(names, found)
    for table in tables:
        print(as_text(table))
    if given.output:
        Path(given.output).mkdir(parents=True, exist_ok=True)
        write_file(Path(given.output) / "compare.md", "\n".join(map(as_markdown, tables)))
        write_file(Path(given.output) / "compare.html", html_comparison(names, found))
    return 0


def perplexity(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="xverse-eval perplexity", description="Perplexity with a sliding window.")
    model_arguments(parser)
    parser.add_argument("file", metavar="FILE", help="a text in UTF-8")
    parser.add_argument("--context", type=int, metavar="N", help="tokens of a window; default: the model's n_ctx_train")
    parser.add_argument("--stride", type=int, metavar="N", help="tokens between windows; default: half of the context")
    given = parser.parse_args(words)
    text = read(Path(given.file))
    found = sliding_perplexity(load(given), text, context=given.context, stride=given.stride)
    print(f"perplexity {found.value:.4f} ± {found.standard_error:.4f}")
    print(f"tokens {found.n_tokens}  bits per byte {found.bits_per_byte:.4f}")
    return 0


def tasks(words: Sequence[str]) -> int:
    argparse.ArgumentParser(prog="xverse-eval tasks", description="Lists the tasks and their protocols.").parse_args(
        words
    )
    for task in TASKS.values():
        print(f"{task.name}: {task.title}; {task.published}")
        for protocol in task.protocols:
            print(f"  {task.name}.{protocol.name}, {protocol.shots} shots: {protocol.summary}")
    return 0


def model_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a Hugging Face directory or a GGUF file")
    parser.add_argument("--quantize", metavar="TYPE", help="int8, int4 ...: quantize the weights while loading")
    parser.add_argument("--threads", type=int, metavar="N", help="threads that compute")


def load(given: argparse.Namespace) -> Model:
    return Model(given.model, quantize=given.quantize, threads=given.threads)
