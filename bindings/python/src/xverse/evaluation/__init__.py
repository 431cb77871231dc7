"""Benchmarks of language models, as the reference tools ask and score them; see docs/evaluation.md."""

from .data import DataError
from .question import Protocol, Question, Task, Verdict
from .run import Options, TaskRun
from .summary import Accuracy, Summary, summarize
from .tasks import TASKS

__all__ = [
    "TASKS",
    "Accuracy",
    "DataError",
    "Options",
    "Protocol",
    "Question",
    "Summary",
    "Task",
    "TaskRun",
    "Verdict",
    "summarize",
]
