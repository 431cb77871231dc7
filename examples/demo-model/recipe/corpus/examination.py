"""Questions for the finished model: their contents were held out of all training text."""

from .conversations import follow_up
from .turn import TASKS, draw


def examination(rng, count):
    """`count` different (task, [turns]), the tasks in turn; the last turn of each is the question, whose content is held
    out. One in four is a follow-up to a question from training."""
    questions = set()
    tasks = [name for name in TASKS if has_contents(rng, name)]
    while len(questions) < count:
        name = tasks[len(questions) % len(tasks)]
        chinese = rng.random() < 0.4
        turns = [draw(rng, name, chinese, test=True)]
        if rng.random() < 0.25:
            before = draw(rng, name, chinese)
            asked = follow_up(rng, name, chinese, before, test=True)
            turns = [before, asked] if asked else turns
        text = tuple(turn.question for turn in turns)
        if text not in questions:
            questions.add(text)
            yield name, turns


def has_contents(rng, name):
    """Whether the task has contents at all: facts that are learned one by one are in no test."""
    return any(TASKS[name][1](rng, False).content is not None for _ in range(20))
