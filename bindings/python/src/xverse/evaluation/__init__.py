"""Benchmarks of language models, as the reference tools ask and score them; see docs/evaluation.md."""

from .compare import Difference, difference
from .data import DataError
from .perplexity import SlidingPerplexity, sliding_perplexity
from .question import Protocol, Question, Task, Verdict
from .run import Options, TaskRun
from .suite import TaskResult, evaluate
from .summary import Accuracy, Summary, summarize
from .tasks import TASKS

__all__ = [
    "TASKS",
    "Accuracy",
    "DataError",
    "Difference",
    "Options",
    "Protocol",
    "Question",
    "SlidingPerplexity",
    "Summary",
    "Task",
    "TaskResult",
    "TaskRun",
    "Verdict",
    "difference",
    "evaluate",
    "sliding_perplexity",
    "summarize",
]
