"""The table of tasks: a line for each."""

from __future__ import annotations

from ..question import Task
from . import agieval, ceval, cmmlu, commonsenseqa, gaokao_bench, gaokao_english, gsm8k, humaneval, mmlu, piqa, race

TASKS: dict[str, Task] = {
    module.TASK.name: module.TASK
    for module in (
        mmlu,
        ceval,
        cmmlu,
        agieval,
        gaokao_bench,
        gaokao_english,
        race,
        commonsenseqa,
        piqa,
        gsm8k,
        humaneval,
    )
}
