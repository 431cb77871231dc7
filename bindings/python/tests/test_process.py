"""Signals, threads, forks, and the end of the interpreter."""

from __future__ import annotations

import multiprocessing
import signal
import sys
import threading

import pytest

# Sends SIGINT to the process itself when the library is busy with the call, from a thread that knows it by what the
# call tells.
INTERRUPT = """
import asyncio, os, signal, sys, threading
import xverse
signal.signal(signal.SIGINT, signal.default_int_handler)
def interrupt():
    os.kill(os.getpid(), signal.SIGINT)
def interrupted(call):
    try:
        call()
    except KeyboardInterrupt:
        return True
    return False
model = xverse.Model(sys.argv[1])
session = model.session()
long = {"ignore_eos": True, "max_new_tokens": 480}
async def stream_and_interrupt():
    async for piece in model.achat("Once", **long):
        interrupt()
def whole(session):
    return session.generate([("user", "How many legs does a spider have?")], temperature=0).text == "A spider has eight legs."
"""


class TestKeyboardInterrupt:
    @pytest.mark.parametrize(
        "call",
        [
            "lambda: session.generate('Once', lambda piece: interrupt(), **long)",
            "lambda: [interrupt() for _ in session.stream('Once', **long)]",
            "lambda: (threading.Timer(0.05, interrupt).start(), [session.generate('Once', **long) for _ in range(99)])",
            "lambda: (threading.Timer(0.05, interrupt).start(), [list(session.stream('Once', **long)) for _ in range(99)])",
            "lambda: (threading.Timer(0.05, interrupt).start(), [session.eval([5] * 400) or session.truncate(0) for _ in range(999)])",
            "lambda: (threading.Timer(0.05, interrupt).start(), [xverse.Model(sys.argv[1], quantize='int4') for _ in range(99)])",
            "lambda: (threading.Timer(0.05, interrupt).start(), model.scheduler().next())",
            "lambda: asyncio.run(stream_and_interrupt())",
            "lambda: (threading.Timer(0.05, interrupt).start(), list(model.generate_many(['Once'] * 999, **long)))",
        ],
    )
    def test_ends_the_call_and_leaves_the_session_valid(self, run_program, call):
        done = run_program(INTERRUPT + f"print(interrupted({call}), whole(session), len(session) < 480)")
        assert done.stdout == "True True True\n", done.stderr
        assert done.returncode == 0

    def test_ends_a_program_that_does_not_catch_it(self, run_program):
        done = run_program(INTERRUPT + "for piece in session.stream('Once', **long): interrupt()")
        assert "KeyboardInterrupt" in done.stderr
        assert done.returncode == -signal.SIGINT


class TestCallbacks:
    def test_an_exception_ends_the_answer_and_reaches_the_caller(self, session):
        class Odd(BaseException):
            pass

        def fail(piece):
            raise Odd(piece)

        with pytest.raises(Odd) as caught:
            session.generate("Once", fail, ignore_eos=True, max_new_tokens=400)
        assert caught.traceback[-1].name == "fail"
        assert len(session) < 400
        assert session.generate("Once", max_new_tokens=2).text

    def test_other_calls_are_allowed_on_other_objects(self, model, session):
        """The function runs on the caller's thread, outside the library's call."""
        other = model.session()
        texts = []
        session.generate(
            "Once",
            lambda piece: texts.append(other.generate("Once", max_new_tokens=1).text) and False,
            max_new_tokens=3,
        )
        assert len(texts) >= 1

    def test_logits_functions_too(self, model, session):
        from xverse import Sampler

        session.eval([5])
        sampler = Sampler(model)
        sampler.set_callback(lambda logits: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            sampler.sample(session)
        sampler.set_callback(None)
        assert sampler.sample(session) >= 0


def test_threads_compute_with_sessions_of_their_own(model):
    expected = model.generate("Once upon a time", temperature=0, max_new_tokens=20).tokens
    found = []

    def work():
        session = model.session()
        for _ in range(3):
            session.truncate(0)
            found.append(session.generate("Once upon a time", temperature=0, max_new_tokens=20).tokens)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 24


def test_other_threads_run_while_the_library_computes(model):
    """A call releases the interpreter lock."""
    ticks = []
    done = threading.Event()

    def tick():
        while not done.is_set():
            ticks.append(done.wait(0.001))

    thread = threading.Thread(target=tick)
    thread.start()
    model.session().eval([5] * 500)
    model.session().eval([6] * 500)
    done.set()
    thread.join()
    assert len(ticks) > 2


ENDS = {
    "a stream that is never closed": "stream = session.stream('Once', **long); next(stream)",
    "a stream in a cycle": "s = session.stream('Once', **long); next(s); c = [s]; c.append(c); gc.disable(); del s, c",
    "a daemon thread": """
def work():
    while True:
        model.session().generate('Once', lambda piece: started.set(), **long)
threading.Thread(target=work, daemon=True).start(); started.wait()""",
    "a scheduler at work": "scheduler = model.scheduler(); scheduler.submit('Once', **long); scheduler.next()",
    "an asyncio answer": """
import asyncio
async def main():
    global answer
    answer = model.achat('Once', **long)
    await answer.__anext__()
asyncio.run(main())""",
    "a log function": """
model.runtime.set_log(lambda level, message: None, 'debug'); stream = session.stream('Once', **long); next(stream)""",
    "loading": """
def work():
    while True:
        xverse.Model(sys.argv[1], quantize='int4', progress=lambda *_: started.set())
threading.Thread(target=work, daemon=True).start(); started.wait()""",
}


@pytest.mark.parametrize("what", ENDS)
def test_the_interpreter_ends_in_the_middle_of(run_program, what):
    text = f"""
import gc, sys, threading
import xverse
model = xverse.Model(sys.argv[1])
session = model.session()
started = threading.Event()
long = {{"ignore_eos": True, "max_new_tokens": 480}}
{ENDS[what]}
sys.exit(5)
"""
    done = run_program(text)
    assert (done.returncode, done.stdout, done.stderr) == (5, "", "")


class TestFork:
    def test_a_child_gets_a_clear_error_and_can_end(self, run_program):
        done = run_program("""
import os, sys
import xverse
model = xverse.Model(sys.argv[1])
session = model.session()
stream = session.stream("Once", ignore_eos=True, max_new_tokens=400)
next(stream)
sys.stdout.flush()
child = os.fork()
if child == 0:
    for call in (lambda: model.session(), lambda: session.generate("Once"), lambda: xverse.Model(sys.argv[1])):
        try:
            call()
        except xverse.errors.ForkedError as error:
            print("fork" in str(error))
    sys.exit(7)
_, status = os.waitpid(child, 0)
print(os.waitstatus_to_exitcode(status), len("".join(stream)) > 0)
""")
        assert done.stdout == "True\nTrue\nTrue\n7 True\n", done.stderr

    def test_spawned_processes_have_models_of_their_own(self, path):
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            assert pool.apply(_answer, (path,)) == "A spider has eight legs."


def _answer(path):
    import xverse

    return xverse.Model(path).generate([("user", "How many legs does a spider have?")], temperature=0).text


def test_importing_is_light(run_program):
    """Nothing but the standard library, and neither numpy nor torch where they are installed."""
    done = run_program("import sys, xverse; print(sorted({'numpy', 'torch', 'asyncio'} & set(sys.modules)))")
    assert done.stdout == "['asyncio']\n"
    assert sys.version_info >= (3, 9)
