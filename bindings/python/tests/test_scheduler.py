"""Schedulers for threads and for asyncio."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import random
import select
import threading

import pytest

import xverse
from xverse import errors

QUESTION = [("user", "How many legs does a spider have?")]
ANSWER = "A spider has eight legs."


class TestScheduler:
    def test_gives_the_events_of_each_answer(self, model):
        with model.scheduler() as scheduler:
            first = scheduler.submit(QUESTION, temperature=0)
            second = scheduler.submit("Once", temperature=0, max_new_tokens=3, logprobs=True)
            texts, ends, logprobs = {first: "", second: ""}, {}, []
            while len(ends) < 2:
                event = scheduler.next(timeout=30)
                texts[event.request_id] += event.text
                logprobs += event.logprobs or []
                if event.kind == "finished":
                    ends[event.request_id] = event
            assert texts[first] == ANSWER
            assert ends[first].finish_reason == "eos"
            assert ends[second].finish_reason == "length"
            assert ends[second].stats.n_generated == len(logprobs) == 3
            assert ends[second].error is None
            assert scheduler.next(timeout=0) is None
            assert scheduler.stats["finished"] == 2

    def test_its_descriptor_is_readable_while_there_are_events(self, model):
        with model.scheduler() as scheduler:
            assert select.select([scheduler], [], [], 0)[0] == []
            scheduler.submit("Once", max_new_tokens=2)
            assert select.select([scheduler], [], [], 30)[0] == [scheduler]
            while scheduler.next().kind != "finished":
                pass
            assert select.select([scheduler], [], [], 0)[0] == []

    def test_cancel_ends_an_answer(self, model):
        with model.scheduler() as scheduler:
            number = scheduler.submit("Once", ignore_eos=True, max_new_tokens=400)
            scheduler.cancel(number)
            event = scheduler.next()
            while event.kind != "finished":
                event = scheduler.next()
            assert event.finish_reason == "cancelled"
            assert event.error is None
            with pytest.raises(errors.InvalidError):
                scheduler.cancel(number + 1000)

    def test_a_draft_model_changes_no_answer(self, model, path):
        with model.scheduler() as scheduler:
            scheduler.set_draft(xverse.Model(path, quantize="int8"))
            scheduler.submit(QUESTION, temperature=0)
            events = [scheduler.next()]
            while events[-1].kind != "finished":
                events.append(scheduler.next())
            assert "".join(event.text for event in events) == ANSWER
            assert events[-1].stats.n_draft_accepted > 0
            scheduler.set_draft(None)
            with pytest.raises(errors.MisuseError, match="vocab_only"):
                scheduler.set_draft(xverse.Model(path, vocab_only=True))

    def test_closing_wakes_threads_that_wait(self, model):
        scheduler = model.scheduler()
        outcomes = []

        def wait():
            try:
                scheduler.next()
            except errors.MisuseError as error:
                outcomes.append(str(error))

        threads = [threading.Thread(target=wait) for _ in range(3)]
        for thread in threads:
            thread.start()
        scheduler.close()
        for thread in threads:
            thread.join(30)
        assert outcomes == ["this Scheduler is closed"] * 3

    def test_many_threads_share_one(self, model):
        """Each event comes once, to one thread."""
        with model.scheduler(max_num_seqs=8) as scheduler:
            texts, lock, left = {}, threading.Lock(), [12]

            def read():
                while left[0] > 0:
                    event = scheduler.next(timeout=0.05)
                    if event is not None:
                        with lock:
                            texts.setdefault(event.request_id, []).append(event.text)
                            left[0] -= event.kind == "finished"

            threads = [threading.Thread(target=read) for _ in range(4)]
            for thread in threads:
                thread.start()
            for _ in range(12):
                scheduler.submit("Once", temperature=0, max_new_tokens=12)
            for thread in threads:
                thread.join(60)
            expected = model.generate("Once", temperature=0, max_new_tokens=12).text
            # Threads may note the pieces of an answer in another order than they got them.
            assert [sorted("".join(pieces)) for pieces in texts.values()] == [sorted(expected)] * 12

    def test_openai_requests(self, model):
        import json

        with model.scheduler() as scheduler:
            request = {"messages": [{"role": "user", "content": QUESTION[0][1]}], "temperature": 0}
            scheduler.submit_json(request)
            event = scheduler.next()
            assert (event.kind, event.finish_reason) == ("finished", "eos")
            assert json.loads(event.text)["choices"][0]["message"]["content"] == ANSWER
            scheduler.submit_json(json.dumps(dict(request, stream=True)))
            kinds = []
            while "finished" not in kinds:
                kinds.append(scheduler.next().kind)
            assert "json" in kinds
            with pytest.raises(errors.UnsupportedError) as caught:
                scheduler.submit_json(dict(request, tools=[{}]))
            assert caught.value.response["error"]["param"] == "tools"
            with pytest.raises(errors.ParseError):
                scheduler.submit_json("{")


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, 60))


async def until(condition):
    """Lets the loop run until something is so."""
    while not condition():
        await asyncio.sleep(0.002)


def unfinished(scheduler):
    stats = scheduler.stats
    return stats["running"] + stats["waiting"] + stats["unread"]


class TestAsync:
    def test_streams_and_generates(self, model):
        async def main():
            pieces = [piece async for piece in model.achat(QUESTION, temperature=0)]
            assert "".join(pieces) == ANSWER
            result = await model.agenerate(QUESTION, temperature=0, logprobs=True)
            assert (result.text, result.finish_reason) == (ANSWER, "eos")
            assert len(result.logprobs) == len(result.tokens)
            answer = model.achat(QUESTION, temperature=0)
            assert (await answer.result()).text == ANSWER

        run(main())
        run(main())  # a new loop takes the scheduler over

    def test_many_at_once_are_those_of_a_session(self, model):
        async def main():
            async with model.async_scheduler(max_num_seqs=16) as scheduler:
                tasks = [scheduler.generate("Once", seed=i, temperature=0.9, max_new_tokens=10) for i in range(64)]
                return await asyncio.gather(*tasks)

        found = [result.tokens for result in run(main())]
        session = model.session()
        for seed in (0, 1, 40, 63):
            expected = session.generate("Once", seed=seed, temperature=0.9, max_new_tokens=10)
            assert found[seed] == expected.tokens
        assert len({tuple(tokens) for tokens in found}) > 8

    def test_several_answers_to_one_prompt(self, model):
        async def main():
            async with model.async_scheduler() as scheduler:
                answers = scheduler.submit("Once", n=3, seed=5, temperature=1.0, max_new_tokens=8)
                with pytest.raises(ValueError, match="submit"):
                    scheduler.stream("Once", n=2)
                return [(await answer.result()).tokens for answer in answers]

        session = model.session()
        expected = [session.generate("Once", seed=5 + i, temperature=1.0, max_new_tokens=8).tokens for i in range(3)]
        assert run(main()) == expected

    def test_a_cancelled_task_frees_its_place_at_once(self, model):
        async def main():
            async with model.async_scheduler(max_num_seqs=1, max_queued_requests=0) as scheduler:
                reading = asyncio.Event()

                async def read():
                    async for _ in scheduler.stream("Once", ignore_eos=True, max_new_tokens=500):
                        reading.set()

                task = asyncio.create_task(read())
                await reading.wait()
                with pytest.raises(errors.QueueFullError):
                    scheduler.stream("Once")
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                await until(lambda: unfinished(scheduler) == 0)
                assert (await scheduler.generate(QUESTION, temperature=0)).text == ANSWER
                assert scheduler.stats["generated_tokens"] < 500

        run(main())

    def test_an_answer_that_is_left_closed_or_dropped_is_cancelled(self, model):
        async def main():
            async with model.async_scheduler(max_num_seqs=4) as scheduler:
                long = {"ignore_eos": True, "max_new_tokens": 500}
                async for _ in scheduler.stream("Once", **long):
                    break
                answer = scheduler.stream("Once", **long)
                await answer.__anext__()
                await answer.aclose()
                with pytest.raises(StopAsyncIteration):
                    await answer.__anext__()
                with pytest.raises(errors.MisuseError, match="closed before its end"):
                    await answer.result()
                async with scheduler.stream("Once", **long):
                    pass
                dropped = scheduler.stream("Once", **long)
                del dropped
                gc.collect()
                await until(lambda: scheduler.stats["finished"] == 4)
                assert scheduler.stats["generated_tokens"] < 1000

        run(main())

    def test_nothing_is_left_of_answers_that_end_in_every_way(self, model):
        async def read(scheduler, number, most):
            count = 0
            async for _ in scheduler.stream("Once upon", seed=number, temperature=1.0, max_new_tokens=5 + number % 30):
                count += 1
                if count > most:
                    return
                await asyncio.sleep(0)

        async def main():
            chance = random.Random(1)
            async with model.async_scheduler(max_num_seqs=8, max_queued_requests=200) as scheduler:
                tasks = [asyncio.create_task(read(scheduler, i, chance.randrange(30))) for i in range(150)]
                await asyncio.sleep(0)
                for task in chance.sample(tasks, 60):
                    task.cancel()
                    await asyncio.sleep(0.001)
                outcomes = await asyncio.gather(*tasks, return_exceptions=True)
                assert {type(outcome) for outcome in outcomes} == {type(None), asyncio.CancelledError}
                await until(lambda: unfinished(scheduler) == 0)
                assert scheduler.stats["finished"] == 150
                del outcomes, tasks
                gc.collect()
                assert len(scheduler._answers) == 0

        run(main())

    def test_cancel_leaves_a_result(self, model):
        async def main():
            answer = model.achat("Once", ignore_eos=True, max_new_tokens=500)
            await answer.__anext__()
            answer.cancel()
            result = await answer.result()
            assert result.finish_reason == "cancelled"
            assert result.stats.n_generated < 500
            answer.cancel()

        run(main())

    def test_a_slow_reader_delays_nobody(self, model):
        async def main():
            async with model.async_scheduler(max_num_seqs=2) as scheduler:
                slow = scheduler.stream("Once", temperature=0, ignore_eos=True, max_new_tokens=40)
                await slow.__anext__()
                # Nobody reads `slow` while these are answered, with it or after it.
                for _ in range(5):
                    assert (await scheduler.generate(QUESTION, temperature=0)).text == ANSWER
                await until(lambda: unfinished(scheduler) == 0)
                return (await slow.result()).text

        assert run(main()) == model.generate("Once", temperature=0, ignore_eos=True, max_new_tokens=40).text

    def test_errors_of_the_request_come_at_once_and_of_the_answer_later(self, model, path):
        async def main():
            with pytest.raises(errors.RangeError):
                model.achat("Once", top_p=3)
            with pytest.raises(errors.InvalidError):
                await model.agenerate("")
            # An answer that fails while it runs: the model has no memory for its keys and values.
            small = xverse.Model(path, memory_limit=12 << 20)
            answer = small.achat([5] * 500, max_new_tokens=2)
            with pytest.raises(errors.OutOfMemoryError, match="memory_limit"):
                await answer.result()

        run(main())

    def test_openai_requests(self, model):
        import json

        async def main():
            async with model.async_scheduler() as scheduler:
                request = {"messages": [{"role": "user", "content": QUESTION[0][1]}], "temperature": 0}
                response = await scheduler.generate_json(request)
                assert response["choices"][0]["message"]["content"] == ANSWER
                chunks = [json.loads(chunk) async for chunk in scheduler.stream_json(json.dumps(request))]
                assert "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks) == ANSWER
                with pytest.raises(errors.UnsupportedError) as caught:
                    scheduler.stream_json(dict(request, tools=[{}]))
                assert caught.value.response["error"]["param"] == "tools"
                async for _ in scheduler.stream_json(request):
                    break
                await until(lambda: scheduler.stats["finished"] == 3)

        run(main())

    def test_closing_ends_those_that_wait(self, model):
        async def main():
            scheduler = model.async_scheduler()
            task = asyncio.create_task(scheduler.generate("Once", ignore_eos=True, max_new_tokens=500))
            await asyncio.sleep(0)
            scheduler.close()
            with pytest.raises(errors.MisuseError, match="closed before the answer ended"):
                await task
            with pytest.raises(errors.MisuseError, match="is closed"):
                scheduler.stream("Once")

        run(main())

    def test_belongs_to_one_loop_at_a_time(self, model):
        scheduler = model.async_scheduler()

        async def first():
            await scheduler.generate("Once", max_new_tokens=2)
            outcome = []

            def other_loop():
                with contextlib.suppress(errors.MisuseError):
                    asyncio.run(scheduler.generate("Once", max_new_tokens=2))
                    outcome.append("answered")
                # The model's own methods have a scheduler for each loop.
                outcome.append(asyncio.run(model.agenerate(QUESTION, temperature=0)).text)

            await asyncio.to_thread(other_loop)
            return outcome

        assert run(first()) == [ANSWER]
        assert run(scheduler.generate(QUESTION, temperature=0)).text == ANSWER

    def test_what_is_dropped_is_forgotten_by_the_loop(self, model):
        async def main():
            gc.collect()  # schedulers of other tests
            before = _open_descriptors()
            for _ in range(20):
                scheduler = model.async_scheduler()
                await scheduler.generate("Once", max_new_tokens=1)
                del scheduler
                gc.collect()
            assert _open_descriptors() == before
            assert (await model.agenerate(QUESTION, temperature=0)).text == ANSWER

        run(model.agenerate("Once", max_new_tokens=1))
        run(main())


def _open_descriptors():
    import os

    return len(os.listdir("/proc/self/fd"))


def test_async_submit_json_follows_the_request_and_has_stats(model):
    body = {"prompt": "Once upon a time", "max_tokens": 5, "temperature": 0}

    async def main():
        async with model.async_scheduler() as scheduler:
            whole = scheduler.submit_json(json.dumps(body))
            assert whole.stats is None
            texts = [json.loads(text) async for text in whole]
            assert [text["object"] for text in texts] == ["text_completion"]
            assert whole.stats.n_generated == texts[0]["usage"]["completion_tokens"] == 5
            stream = scheduler.submit_json({**body, "stream": True})
            pieces = [json.loads(text)["choices"][0]["text"] async for text in stream]
            assert "".join(pieces) == texts[0]["choices"][0]["text"]
            with pytest.raises(errors.LimitError):
                scheduler.stream_json('{"prompt": ' + "[" * 50000)

    asyncio.run(main())
