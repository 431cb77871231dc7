#!/usr/bin/env python3
"""Measures llama.cpp through llama-cpp-python and prints {name: [tokens/s, ...]}; compare.py runs it.

llama_rows.py MODEL.gguf THREADS REPEATS
"""

import json
import sys
import time

import llama_cpp

PROMPT, DECODED, STEPS, SEQUENCES = 512, 64, 8, (1, 4, 8, 16)
# Of the answers that grow together: the prompt of each, and the tokens that are counted.
ANSWERS, QUESTION, GROWTH = 16, 100, 64


class Context:
    """One or more sequences over a model."""

    def __init__(self, model, threads, sequences, tokens):
        parameters = llama_cpp.llama_context_default_params()
        parameters.n_ctx = sequences * tokens
        parameters.n_batch = parameters.n_ubatch = 512
        parameters.n_seq_max = sequences
        parameters.n_threads = parameters.n_threads_batch = threads
        self.context = llama_cpp.llama_init_from_model(model, parameters)
        if not self.context:
            sys.exit("llama.cpp made no context")
        self.batch = llama_cpp.llama_batch_init(512, 0, 1)

    def close(self):
        llama_cpp.llama_batch_free(self.batch)
        llama_cpp.llama_free(self.context)

    def clear(self):
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self.context), False)

    def evaluate(self, tokens):
        """tokens: (sequence, position, whether logits are wanted) of each."""
        self.batch.n_tokens = len(tokens)
        for i, (sequence, position, wants_logits) in enumerate(tokens):
            self.batch.token[i] = 300 + (7919 * (position + sequence)) % 100000
            self.batch.pos[i] = position
            self.batch.n_seq_id[i] = 1
            self.batch.seq_id[i][0] = sequence
            self.batch.logits[i] = wants_logits
        if llama_cpp.llama_decode(self.context, self.batch) != 0:
            sys.exit("llama_decode failed")
        llama_cpp.llama_synchronize(self.context)


def rates(context, count, repeats, run):
    """Tokens a second of each repeat; one before them is not counted."""
    result = []
    for _ in range(repeats + 1):
        context.clear()
        start = time.perf_counter()
        run()
        result.append(count / (time.perf_counter() - start))
    context.close()
    return result[1:]


def grow(context):
    """Seconds in which all answers get GROWTH tokens."""
    context.clear()
    for answer in range(ANSWERS):
        context.evaluate([(answer, position, position == QUESTION - 1) for position in range(QUESTION)])
    start = time.perf_counter()
    for position in range(QUESTION, QUESTION + GROWTH):
        context.evaluate([(answer, position, True) for answer in range(ANSWERS)])
    return time.perf_counter() - start


def main():
    path, threads, repeats = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    llama_cpp.llama_backend_init()
    model = llama_cpp.llama_model_load_from_file(path.encode(), llama_cpp.llama_model_default_params())
    if not model:
        sys.exit(f"llama.cpp does not load {path}")
    rows = {}

    context = Context(model, threads, 1, 1024)
    prompt = [(0, position, position == PROMPT - 1) for position in range(PROMPT)]
    rows[f"prefill {PROMPT}"] = rates(context, PROMPT, repeats, lambda: context.evaluate(prompt))

    context = Context(model, threads, 1, 1024)

    def decode():
        for position in range(DECODED):
            context.evaluate([(0, position, True)])

    rows[f"decode {DECODED}"] = rates(context, DECODED, repeats, decode)

    for sequences in SEQUENCES:
        context = Context(model, threads, sequences, 256)

        def batches(context=context, sequences=sequences):
            for position in range(STEPS):
                context.evaluate([(sequence, position, True) for sequence in range(sequences)])

        rows[f"batch of {sequences}"] = rates(context, STEPS * sequences, repeats, batches)

    context = Context(model, threads, ANSWERS, 256)
    rows[f"{ANSWERS} answers grow"] = [ANSWERS * GROWTH / grow(context) for _ in range(repeats + 1)][1:]
    context.close()
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
