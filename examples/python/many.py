#!/usr/bin/env python3
"""Sixteen conversations at a time on one asyncio loop: many.py MODEL [QUESTION...]."""

import asyncio
import sys

from xverse import Model, XverseError

QUESTIONS = ("Hello!", "Tell me a story.", "What is your name?", "Once upon a time")
SEED_COUNT = 4


async def converse(scheduler, question, seed):
    messages = [("user", question)]
    for _ in range(2):
        answer = ""
        async for piece in scheduler.stream(messages, temperature=0.8, seed=seed, max_new_tokens=60):
            answer += piece
        messages += [("assistant", answer), ("user", "Go on.")]
    return answer


async def main():
    if len(sys.argv) < 2:
        sys.exit(f"usage: {sys.argv[0]} MODEL [QUESTION...]")
    questions = [(question, seed) for question in sys.argv[2:] or QUESTIONS for seed in range(SEED_COUNT)]
    async with Model(sys.argv[1]).async_scheduler(max_num_seqs=16) as scheduler:
        answers = await asyncio.gather(*(converse(scheduler, question, seed) for question, seed in questions))
    for (question, _), answer in zip(questions, answers):
        print(f"{question} ... {answer.strip()}\n")


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except XverseError as error:
        sys.exit(f"{error.name}: {error}")
