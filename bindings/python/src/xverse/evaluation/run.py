"""Runs tasks: reads, encodes, scores or generates, and writes a record for each question."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable

from .data import DataError
from .encoding import Encoded, Encoder
from .question import Protocol, Question, Task
from .records import Record, generated_record, scored_record
from .scoring import Scorer

if TYPE_CHECKING:
    from ..model import Model

__all__ = ["Options", "TaskRun"]


@dataclass(frozen=True)
class Options:
    """How tasks are run.

    Attributes:
        num_shots: solved questions before each; None: as many as the protocol says.
        limit: most questions of a subject; None: all. seed: which ones; None: the first.
        chat: the prompt is a message of the user.
        context: most tokens of a prompt with its answer; None: the model's n_ctx_train.
        max_new_tokens: of a text that is generated; None: as many as the protocol says.
        allow_code_execution: programs that the model writes may be run.
    """

    num_shots: int | None = None
    limit: int | None = None
    seed: int | None = None
    chat: bool = False
    context: int | None = None
    max_new_tokens: int | None = None
    allow_code_execution: bool = False

    def __post_init__(self) -> None:
        for name, least in (("num_shots", 0), ("limit", 1), ("context", 2), ("max_new_tokens", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ValueError(f"{name} is {value}, expected {least} or more")


class TaskRun:
    """A task with a model.

    Args:
        data: folder of the benchmark.
        protocol: its name; None: the task's default.

    Raises:
        DataError: a file that is missing or not as published. ValueError: another protocol. PermissionError: the task runs
        programs, and allow_code_execution is not set.
    """

    def __init__(
        self, model: Model, task: Task, data: Path, protocol: str | None = None, options: Options | None = None
    ) -> None:
        self.model = model
        self.task = task
        self.options = options or Options()
        self.protocol: Protocol = task.protocol(protocol)
        if self.options.max_new_tokens is not None:
            self.protocol = dataclasses.replace(self.protocol, max_new_tokens=self.options.max_new_tokens)
        if task.runs_code and not self.options.allow_code_execution:
            raise PermissionError(f"{task.name} runs programs that the model wrote; allow_code_execution is not set")
        self.num_shots = self.protocol.shots if self.options.num_shots is None else self.options.num_shots
        self.context = self.options.context or model.info.n_ctx_train
        questions = task.load(data, self.protocol, self.num_shots)
        if not questions:
            raise DataError(data, None, "no questions")
        self.questions = selected(questions, self.options.limit, self.options.seed)

    def settings(self) -> dict[str, Any]:
        """What must be the same for a run to go on."""
        info = self.model.info
        chosen = dataclasses.asdict(self.options)
        del chosen["allow_code_execution"]
        chosen.update(
            task=self.task.name, protocol=self.protocol.name, num_shots=self.num_shots, context=self.context,
            questions=len(self.questions), model=info.name, arch=info.arch, quant=info.quant, n_params=info.n_params,
        )  # fmt: skip
        return chosen

    def records(self, done: Callable[[Encoded], bool] = lambda _: False) -> Iterator[Record]:
        """The records of the questions that are not done, in an order that makes the run fast."""
        encoder = Encoder(self.model, self.protocol, self.context, self.options.chat)
        by_subject: dict[str, list[Question]] = {}
        for question in self.questions:
            by_subject.setdefault(question.subject, []).append(question)
        for questions in by_subject.values():
            left = [encoded for encoded in map(encoder.encode, questions) if not done(encoded)]
            if self.protocol.scoring == "generate":
                yield from self._generated(left)
            else:
                scorer = Scorer(self.model, self.context, whole=self.protocol.scoring == "ppl")
                for scored in scorer.score(left):
                    yield scored_record(scored, self.protocol)

    def _generated(self, questions: Sequence[Encoded]) -> Iterator[Record]:
        judge = self.task.judge
        assert judge is not None
        prompts = [question.ids for question in questions]
        results = self.model.generate_many(
            prompts, do_sample=False, repetition_penalty=1.0, max_new_tokens=self.protocol.max_new_tokens,
            stop=list(self.protocol.stop) or None, scheduler={"context": self.context},
        )  # fmt: skip
        for encoded, result in zip(questions, results):
            yield generated_record(encoded, result, judge(encoded.question, self.protocol, result.text))


def selected(questions: Sequence[Question], limit: int | None, seed: int | None) -> list[Question]:
    """At most `limit` questions of each subject, the first ones, or with a seed any, in the order of the file."""
    if limit is None:
        return list(questions)
    by_subject: dict[str, list[Question]] = {}
    for question in questions:
        by_subject.setdefault(question.subject, []).append(question)
    chosen: list[Question] = []
    for subject, members in by_subject.items():
        if seed is not None and limit < len(members):
            places = sorted(random.Random(f"{seed} {subject}").sample(range(len(members)), limit))
            chosen += [members[place] for place in places]
        else:
            chosen += members[:limit]
    return chosen
