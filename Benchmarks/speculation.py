"""Decode speed with and without prompt lookup, on an answer that repeats its prompt and on one that does not.

    make lib
    XVERSE_LIBRARY=.build-lib/release/libxverse.so python3 Benchmarks/speculation.py MODEL [--quantize int4] [--threads 2]

Both ways take turns in one process, each in a session of its own, and must give the same tokens. The ratios are medians over
the rounds, of wall time and of the process's CPU time, which other programs disturb less.
"""

import argparse
import pathlib
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "bindings/python/src"))
import xverse

TEXT = """The lighthouse at Cape Wrath was built in 1828 by Robert Stevenson.

It stands on a cliff of red gneiss that is one hundred and twenty metres high.

For many years three keepers lived there with their familys, and a boat brought them coal, flour and letters once a month.

In winter the sea was often to rough for the boat, and the keepers had to wait.

The light was automated in 1998.

Today the road to the lighthouse can only be reached by a small ferry across the Kyle of Durness, and a minibus takes \
visitors the last eleven miles."""

PROMPTS = {
    "edit": f"""A story of four paragraphs:

{TEXT}

The same story again, in which after each paragraph a sentence in brackets explains it:

The lighthouse at Cape Wrath was built in 1828 by Robert Stevenson.

[This is where the story begins, with the man who built it.]

It stands on""",
    "story": "A long story about a fisherman who finds a strange map in a bottle:\n\nOnce upon a time",
}


def repeated(prompt, answer, size=5):
    """The part of an answer that stands in n-grams of the prompt."""
    known = {tuple(prompt[i : i + size]) for i in range(len(prompt) - size + 1)}
    starts = [i for i in range(len(answer) - size + 1) if tuple(answer[i : i + size]) in known]
    return len({i + j for i in starts for j in range(size)}) / len(answer)


def measure(model, name, count, guesses, rounds):
    prompt = PROMPTS[name]
    sessions = {guesses: model.session(), 0: model.session()}
    speeds, ratios = {0: [], guesses: []}, {"wall": [], "CPU": []}
    # The first round evaluates the prompt and measures what passes take.
    for number in range(rounds + 1):
        results, cpu = {}, {}
        for most in sorted(sessions, reverse=number % 2 == 1):
            begin = time.process_time()
            results[most] = sessions[most].generate(
                prompt, max_new_tokens=count, ignore_eos=1, do_sample=0, prompt_lookup_num_tokens=most
            )
            cpu[most] = time.process_time() - begin
        plain, guessed = results[0], results[guesses]
        if plain.tokens != guessed.tokens:
            sys.exit(f"{name}: other tokens with guesses")
        if number > 0:
            for most, result in results.items():
                speeds[most].append((count - 1) / result.stats.ns_decode * 1e9)
            ratios["wall"].append(plain.stats.ns_decode / guessed.stats.ns_decode)
            ratios["CPU"].append(cpu[0] / cpu[guesses])
    part = repeated(model.tokenizer.encode(prompt), plain.tokens)
    print(
        f"{name}: {part:.0%} repeats the prompt; {statistics.median(speeds[0]):.1f} tokens/s, with guesses "
        f"{statistics.median(speeds[guesses]):.1f}; "
        + ", ".join(f"{what} {statistics.median(values):.2f}x" for what, values in ratios.items())
        + f"; guessed {guessed.stats.n_draft}, right {guessed.stats.n_draft_accepted} of {count}"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--quantize", default="none", choices=["none", "int8", "int4"])
    parser.add_argument("--threads", type=int)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--count", type=int, default=280, help="tokens of an answer")
    parser.add_argument("--guesses", type=int, default=10, help="prompt_lookup_num_tokens")
    arguments = parser.parse_args()
    model = xverse.Model(arguments.model, threads=arguments.threads, quantize=arguments.quantize)
    for name in PROMPTS:
        measure(model, name, arguments.count, arguments.guesses, arguments.rounds)


main()
