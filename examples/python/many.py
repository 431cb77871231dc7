#!/usr/bin/env python3
"""Sixteen conversations at a time on one asyncio loop: many.py MODEL [QUESTION...]."""

import asyncio
import sys

from xverse import Model, XverseError

QUESTIONS = ("Hello!", "Tell me a story.", "What is your name?", "Once upon a time")
SEED_COUNT = 4


class Answers:
    """A scheduler whose answers are asynchronous generators."""

    def __init__(self, model, **options):
        self._scheduler = model.scheduler(**options)
        self._queues = {}
        asyncio.get_running_loop().add_reader(self._scheduler.fileno(), self._read)

    def _read(self):
        for number, text, reason in self._scheduler.events():
            queue = self._queues[number] if reason is None else self._queues.pop(number)
            queue.put_nowait((text, reason))

    async def chat(self, messages, **sampling):
        """The pieces of an answer; leaving early ends it."""
        number = self._scheduler.submit(messages, **sampling)
        pieces = self._queues[number] = asyncio.Queue()
        reason = None
        try:
            while reason is None:
                text, reason = await pieces.get()
                if isinstance(text, XverseError):
                    raise text
                if text:
                    yield text
        finally:
            if reason is None:
                self._scheduler.cancel(number)

    def close(self):
        asyncio.get_running_loop().remove_reader(self._scheduler.fileno())


async def converse(answers, question, seed):
    messages = [("user", question)]
    for _ in range(2):
        answer = ""
        async for piece in answers.chat(messages, temperature=0.8, seed=seed, max_new_tokens=60):
            answer += piece
        messages += [("assistant", answer), ("user", "Go on.")]
    return answer


async def main():
    if len(sys.argv) < 2:
        sys.exit(f"usage: {sys.argv[0]} MODEL [QUESTION...]")
    answers = Answers(Model(sys.argv[1]), max_num_seqs=16)
    questions = [(question, seed) for question in sys.argv[2:] or QUESTIONS for seed in range(SEED_COUNT)]
    for (question, _), answer in zip(
        questions, await asyncio.gather(*(converse(answers, question, seed) for question, seed in questions))
    ):
        print(f"{question} ... {answer.strip()}\n")
    answers.close()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except XverseError as error:
        sys.exit(f"{error.name}: {error}")
