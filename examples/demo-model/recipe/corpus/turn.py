"""One question with its answer, and the tasks that make them."""

from dataclasses import dataclass

from .split import held_out


@dataclass
class Turn:
    """content: what the question is about, without language or wording; None for facts that can only be known by having
    been told (they are never in the test). steps: contents of other tasks that the answer goes through, a sum for instance.
    follow_up: how to ask this after a turn of the same task and form."""

    question: str
    answer: str
    content: tuple = None
    follow_up: str = None
    form: str = ""
    steps: tuple = ()

    @property
    def is_for_training(self):
        return not any(held_out(content) for content in (self.content, *self.steps) if content)

    @property
    def is_for_test(self):
        return self.content is not None and held_out(self.content)


# name -> (weight, function(rng, chinese) -> Turn)
TASKS = {}


def task(weight):
    def register(function):
        TASKS[function.__name__] = (weight, function)
        return function

    return register


def draw(rng, name, chinese, test=False):
    """A turn of the task that belongs to the training text, or to the test."""
    function = TASKS[name][1]
    while True:
        turn = function(rng, chinese)
        if turn.is_for_test if test else turn.is_for_training:
            return turn
