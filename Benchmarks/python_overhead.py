#!/usr/bin/env python3
"""What streaming through Python costs a token, against the tool, which is written in Swift over the same C interface.

    XVERSE_LIBRARY=.build-lib/release/libxverse.so Benchmarks/python_overhead.py TOOL MODEL [--tokens N] [--rounds N]

The ways take turns, each as its own process or session, and must give the same text. The times are those of the library's
statistics from the first token on, so neither start nor prompt is in them; medians over the rounds.
"""

import argparse
import asyncio
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "bindings/python/src"))
import xverse

PROMPT = "Once upon a time"


def tool(arguments):
    command = [arguments.tool, "generate", arguments.model, PROMPT, "--greedy", "--ignore-eos", "--stats"]
    done = subprocess.run(
        [*command, "--max-new-tokens", str(arguments.tokens)], capture_output=True, text=True, check=True
    )
    speed = float(re.search(r"answer \d+ tokens, ([\d.]+) tokens/s", done.stderr)[1])
    return done.stdout.rstrip("\n"), 1e6 / speed


def in_session(read):
    def measure(model, options):
        session = model.session()
        text, stats = read(session, options)
        return text, stats.ns_decode / 1e3 / (stats.n_generated - 1)

    return measure


def whole(session, options):
    result = session.generate(PROMPT, **options)
    return result.text, result.stats


def called(session, options):
    pieces = []
    result = session.generate(PROMPT, pieces.append, **options)
    return "".join(pieces), result.stats


def streamed(session, options):
    stream = session.stream(PROMPT, **options)
    return "".join(stream), stream.result.stats


def awaited(model, options):
    async def main():
        async with model.async_scheduler() as scheduler:
            answer = scheduler.stream(PROMPT, **options)
            text = [await answer.__anext__()]
            begin = time.perf_counter()
            text += [piece async for piece in answer]
            return "".join(text), (time.perf_counter() - begin) * 1e6 / (options["max_new_tokens"] - 1)

    return asyncio.run(main())


WAYS = {
    "generate()": in_session(whole),
    "generate(on_text)": in_session(called),
    "stream()": in_session(streamed),
    "AsyncScheduler": awaited,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tool")
    parser.add_argument("model")
    parser.add_argument("--tokens", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    model = xverse.Model(arguments.model)
    options = {"temperature": 0, "ignore_eos": True, "max_new_tokens": arguments.tokens}
    times = {name: [] for name in ("tool", *WAYS)}
    for _ in range(arguments.rounds):
        expected, microseconds = tool(arguments)
        times["tool"].append(microseconds)
        for name, way in WAYS.items():
            text, microseconds = way(model, options)
            if text != expected:
                sys.exit(f"{name} gave another text than the tool")
            times[name].append(microseconds)
    base = statistics.median(times["tool"])
    for name, values in times.items():
        median = statistics.median(values)
        print(f"{name:18} {median:8.1f} us a token  {median - base:+8.1f}")


if __name__ == "__main__":
    main()
