"""What a task is: questions, how they are asked, scored and averaged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable

__all__ = ["Protocol", "Question", "Task", "Verdict"]


@dataclass(frozen=True)
class Question:
    """A question of a benchmark.

    Attributes:
        id: benchmark/subject/row, the row counted from 0 in its file.
        subject: what accuracies are given for.
        categories: groups of subjects that it belongs to.
        head: text before the shots.
        shots: solved questions, each a text of its own.
        item: the text after a number of shots: the question, up to where the answer begins.
        candidates: the answers that are scored; for questions that are answered in text, none.
        gold: the right answer: the letter of a candidate, else what `Task.judge` compares with.
        weight: points for it.
        name: its name in the benchmark, when it has one.
        extra: what `Task.judge` needs.
    """

    id: str
    subject: str
    categories: tuple[str, ...]
    head: str
    shots: tuple[str, ...]
    item: Callable[[int], str]
    candidates: tuple[str, ...]
    gold: str
    weight: float = 1.0
    name: str | None = None
    extra: Any = field(default=None, repr=False)

    def prompt(self, kept: Sequence[int]) -> str:
        """The whole text with some of the shots."""
        return self.head + "".join(self.shots[index] for index in kept) + self.item(len(kept))


@dataclass(frozen=True)
class Protocol:
    """How a benchmark's questions are asked and scored.

    Attributes:
        name: as in the references.
        summary: one line of it.
        scoring: "loglikelihood": the most probable candidate; "ppl": the whole text with the lowest mean loss, as
            OpenCompass; "generate": a text is generated, which `Task.judge` marks.
        shots: how many, by default.
        fit: which shots go when the context is short: "prefix": the last first; "longest": as CMMLU's own script.
        max_new_tokens, stop: of "generate".
        normalized: gives the answers by log-probability per token, character and byte too.
    """

    name: str
    summary: str
    scoring: str
    shots: int
    fit: str = "prefix"
    max_new_tokens: int = 0
    stop: tuple[str, ...] = ()
    normalized: bool = False


@dataclass(frozen=True)
class Verdict:
    """What became of a generated text."""

    pred: str
    correct: bool
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Task:
    """A benchmark.

    Attributes:
        name: on the command line, and of its folder.
        title: in tables.
        published: where its files are, and their licence.
        protocols: the first is the default, the one that XVERSE used where that is known.
        load: reads the questions: folder, protocol, number of shots. DataError for files that are not as published.
        average: the figure to compare with published ones: "micro", "subjects", "categories" or "weighted".
        judge: marks a generated text.
        runs_code: judging runs programs that the model wrote.
    """

    name: str
    title: str
    published: str
    protocols: tuple[Protocol, ...]
    load: Callable[[Path, Protocol, int], list[Question]]
    average: str = "micro"
    judge: Callable[[Question, Protocol, str], Verdict] | None = None
    runs_code: bool = False

    def protocol(self, name: str | None = None) -> Protocol:
        """A protocol by its name; None: the default.

        Raises:
            ValueError: there is none of this name.
        """
        for protocol in self.protocols:
            if name is None or protocol.name == name:
                return protocol
        known = ", ".join(protocol.name for protocol in self.protocols)
        raise ValueError(f"{self.name} has no protocol {name!r}, expected one of {known}")
