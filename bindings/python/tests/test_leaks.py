"""Memory after many short generations. XVERSE_TEST_LEAK_COUNT sets how many, 10000 before a release."""

from __future__ import annotations

import asyncio
import gc
import os

import pytest

import xverse
from xverse._handle import Handle

COUNT = int(os.environ.get("XVERSE_TEST_LEAK_COUNT", "1500"))
# What the allocators of Python and C may take for themselves in between.
ALLOWED_KIB = 1500


def resident_kib():
    gc.collect()
    with open("/proc/self/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))


def live_handles():
    gc.collect()
    return sum(isinstance(thing, Handle) for thing in gc.get_objects())


def by_session(model):
    def one(_):
        model.session().generate("Once", temperature=0, max_new_tokens=2)

    return one


def by_stream(model):
    session = model.session()

    def one(number):
        for _ in session.stream("Once", temperature=0, max_new_tokens=2):
            if number % 2:
                break

    return one


def by_errors(model):
    session = model.session()

    def one(_):
        with pytest.raises(ValueError, match="did you mean"):
            session.generate("Once", temprature=0)
        with pytest.raises(ZeroDivisionError):
            session.generate("Once", lambda piece: 1 / 0, temperature=0, max_new_tokens=2)
        session.logits()

    return one


def by_asyncio(model):
    async def few():
        answers = [model.achat("Once", temperature=0, max_new_tokens=2) for _ in range(10)]
        for answer in answers[::2]:
            await answer.result()

    return lambda number: asyncio.run(few()) if number % 10 == 0 else None


@pytest.mark.parametrize("way", [by_session, by_stream, by_errors, by_asyncio])
def test_many_generations_take_no_memory(path, way):
    model = xverse.Model(path, prefix_cache=0)
    one = way(model)
    for number in range(COUNT // 2):
        one(number)
    handles = live_handles()
    grown = []
    # The heap may grow once, by chance; a leak makes it grow each time.
    while not grown or (grown[-1] >= ALLOWED_KIB and len(grown) < 3):
        before = resident_kib()
        for number in range(COUNT):
            one(number)
        assert live_handles() == handles
        grown.append(resident_kib() - before)
    assert grown[-1] < ALLOWED_KIB, f"grew by {grown} KiB"


def test_nothing_is_left_of_what_was_dropped(path):
    before = live_handles()
    model = xverse.Model(path, threads=1)
    session = model.session()
    streams = [model.chat([("user", "Hi")], max_new_tokens=3), session.stream("Once", max_new_tokens=3)]
    next(streams[0])
    things = [session.fork(), model.scheduler(), model.async_scheduler(), model.tokenizer.detokenizer()]
    things += [xverse.Sampler(model), session.logits() if len(session) else None]
    asyncio.run(model.agenerate("Once", max_new_tokens=1))
    assert live_handles() > before
    del model, session, streams, things
    assert live_handles() == before
