#!/usr/bin/env python3
"""What quantization costs: perplexity, KL divergence and top-1 agreement against the float model, through libxverse as users
run it, rounded activations included.

    quantization_quality.py MODEL TEXT [--context N] [--bos ID] [--windows N] [--calibration FILE] [VARIANT ...]

VARIANT is int8, int4, int8+calibration or int4+calibration (default: all that can be), or the path of a converted model.
The text is cut into windows of N tokens that do not overlap; the first token of each is not scored, a last one that is not
full is left out. KL(P_float || P_quantized) is in nats, the mean over the scored tokens. Needs NumPy.
XVERSE_LIBRARY names the library where it is not installed.
"""

import argparse
import os
import sys
from pathlib import Path

import numpy

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "bindings", "python", "src"))
from xverse import Model


def logits(session, window):
    """The logits after each token of a window but the last, [tokens - 1, vocabulary], f32."""
    session.truncate(0)
    rows = []
    for token in window[:-1]:
        session.eval([token])
        rows.append(session.logits().copy())
    return numpy.stack(rows)


def log_softmax(x):
    x = x.astype(numpy.float64)
    x -= x.max(-1, keepdims=True)
    return x - numpy.log(numpy.exp(x).sum(-1, keepdims=True))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("text")
    parser.add_argument("variants", nargs="*")
    parser.add_argument("--context", type=int, default=512)
    parser.add_argument("--bos", type=int)
    parser.add_argument("--windows", type=int, default=1 << 30)
    parser.add_argument("--calibration")
    arguments = parser.parse_args()

    base = Model(arguments.model)
    ids = base.tokenizer.encode(Path(arguments.text).read_bytes().decode("utf-8").replace("\r\n", "\n"))
    size = arguments.context - (arguments.bos is not None)
    prefix = [] if arguments.bos is None else [arguments.bos]
    windows = [prefix + ids[i : i + size] for i in range(0, len(ids) - size + 1, size)][: arguments.windows]
    variants = arguments.variants or ["int8", "int4"] + (
        ["int8+calibration", "int4+calibration"] if arguments.calibration else []
    )
    models = {}
    for variant in variants:
        if os.path.isdir(variant):
            models[variant] = Model(variant)
            continue
        kind, _, calibrated = variant.partition("+")
        models[variant] = Model(
            arguments.model, quantize=kind, **({"calibration": arguments.calibration} if calibrated else {})
        )
    sessions = {name: model.session() for name, model in models.items()}
    base_session = base.session()

    scored, base_nll = 0, 0.0
    sums = {name: [0.0, 0.0, 0] for name in sessions}  # nll, kl, agreeing
    for window in windows:
        expected = log_softmax(logits(base_session, window))
        targets = numpy.array(window[1:])[:, None]
        base_nll -= numpy.take_along_axis(expected, targets, -1).sum()
        scored += len(targets)
        for name, session in sessions.items():
            found = log_softmax(logits(session, window))
            sums[name][0] -= numpy.take_along_axis(found, targets, -1).sum()
            sums[name][1] += (numpy.exp(expected) * (expected - found)).sum()
            sums[name][2] += int((expected.argmax(-1) == found.argmax(-1)).sum())

    print(f"{len(windows)} windows, {scored} tokens, float perplexity {numpy.exp(base_nll / scored):.4f}")
    print(f"{'':20} {'MB':>8} {'ppl ratio':>10} {'KL':>10} {'top-1':>8}")
    for name, (nll, kl, agreeing) in sums.items():
        size = models[name].info.weight_bytes / 1e6
        ratio = numpy.exp((nll - base_nll) / scored)
        print(
            f"{os.path.basename(name.rstrip('/')):20} {size:8.1f} {ratio:10.5f} {kl / scored:10.6f} {agreeing / scored:8.4f}"
        )


if __name__ == "__main__":
    main()
