#!/usr/bin/env python3
"""Imports xverse, torch, numpy, scipy and faiss in every order, each order in a process of its own, and lets every module
compute whenever another one has been imported. All answers must be right, and every process must end by itself in time.

usage: scripts/check_import_order.py [--runs N] [--calibrate] [--threading THREADING] [MODEL]

Packages that are not installed are left out with a message; without torch everything is skipped. The processes take the
orders one after the other; default: each order once, and at least 100 processes. --calibrate also quantizes the model with
a calibration text, for which the library loads OpenBLAS. The xverse package is the one that this Python finds: a wheel's,
or that of PYTHONPATH.
"""

import argparse
import importlib.util
import itertools
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MODULES = ("xverse", "torch", "numpy", "scipy", "faiss")
QUESTION, ANSWER = "How many legs does a spider have?", "A spider has eight legs."
# A process is dead when it was seen idle, in a row, so many times a second apart, and lost when it has computed for so many
# seconds, many times what any takes. Time itself counts for nothing: machines may be busy, and processes stopped.
IDLE, COMPUTED = 120, 600


class Computations:
    """One computation of every module; its inputs are whole numbers, so that its results are exact."""

    def __init__(self, model, options, calibrate):
        self.path, self.options, self.calibrate = model, options, calibrate
        self.model = None

    def xverse(self):
        import xverse

        if self.model is None:
            self.model = xverse.Model(self.path, **self.options)
            if self.calibrate:
                with tempfile.NamedTemporaryFile("w", suffix=".txt") as text:
                    text.write("A spider has eight legs. " * 60)
                    text.flush()
                    self.model = xverse.Model(self.path, quantize="int8", calibration=text.name, **self.options)
        answer = "".join(self.model.session().chat([("user", QUESTION)], max_new_tokens=20, do_sample=False))
        return answer.strip() == ANSWER, answer

    def torch(self):
        import torch

        a = torch.arange(256 * 256, dtype=torch.float64).reshape(256, 256) % 7
        product = (a @ a).sum().item()
        gradient = torch.ones(1000, requires_grad=True)
        (gradient * 3).sum().backward()
        return (product, gradient.grad.sum().item()) == (150987788.0, 3000.0), (product, gradient.grad.sum().item())

    def numpy(self):
        import numpy

        a = numpy.arange(256 * 256, dtype=numpy.float64).reshape(256, 256) % 7
        product = float((a @ a).sum())
        return product == 150987788.0, product

    def scipy(self):
        import numpy
        import scipy.linalg

        lower = numpy.tril(numpy.arange(128 * 128).reshape(128, 128) % 3.0) + 200 * numpy.eye(128)
        factor = scipy.linalg.cholesky(lower @ lower.T, lower=True)
        error = float(abs(factor - lower).max())
        # The factor is unique, and its matrix well-conditioned; the next whole number is 1 away.
        return error < 1e-6, error

    def faiss(self):
        import faiss
        import numpy

        vectors = numpy.eye(64, dtype=numpy.float32)
        index = faiss.IndexFlatL2(64)
        index.add(vectors)
        found = index.search(vectors, 1)[1].ravel().tolist()
        return found == list(range(64)), found


def child(order, model, options, calibrate):
    computations = Computations(model, options, calibrate)
    for last in range(len(order)):
        importlib.import_module(order[last])
        for name in order[: last + 1]:
            is_right, result = getattr(computations, name)()
            if not is_right:
                sys.exit(f"{name} computed {result!r} after the imports {', '.join(order[: last + 1])}")
    print("done")


def state(process):
    """State of a process and its seconds of computing so far, as proc(5) has them."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(") ")[2].split()
    return fields[0], (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run(command):
    """Runs a process to its end. Returns what is wrong with it, or None."""
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
        idle = before = 0
        while True:
            try:
                process.wait(timeout=1)
                break
            except subprocess.TimeoutExpired:
                letter, computed = state(process)
            idle = idle + 1 if letter == "S" and computed == before else 0
            before = computed
            if idle == IDLE or computed > COMPUTED:
                process.kill()
                process.wait()
                return f"waits for ever, after {computed:.1f} s of computing" if idle == IDLE else "computes for ever"
        output.seek(0)
        said = output.read()
        if (process.returncode, said) == (0, "done\n"):
            return None
        return f"exit status {process.returncode}, printed {json.dumps(said[-2000:])}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--runs", type=int, help="how many processes; default: each order once, and at least 100")
    parser.add_argument("--calibrate", action="store_true", help="also quantize with a calibration text")
    parser.add_argument("--threading", help="option threading of the model; default: the package's")
    parser.add_argument("--order", help=argparse.SUPPRESS)
    parser.add_argument("model", nargs="?", default=str(ROOT / "examples/demo-model"))
    arguments = parser.parse_args()

    options = {"threading": arguments.threading} if arguments.threading else {}
    if arguments.order:
        child(arguments.order.split(","), arguments.model, options, arguments.calibrate)
        return

    there = [name for name in MODULES if importlib.util.find_spec(name)]
    if missing := [name for name in MODULES if name not in there]:
        print(f"check_import_order: not installed: {', '.join(missing)}")
    if "xverse" not in there:
        sys.exit("check_import_order: this Python does not find xverse")
    if "torch" not in there:
        print("check_import_order: skipped without torch (pip install torch numpy scipy faiss-cpu)")
        return

    orders = list(itertools.permutations(there))
    # Neighbours in this list differ at the end only; steps of a number prime to the length visit all and mix them.
    step = 7 if len(orders) % 7 else 1
    runs = max(len(orders), 100) if arguments.runs is None else arguments.runs
    failures = 0
    for i in range(runs):
        order = orders[i * step % len(orders)]
        problem = run([sys.executable, *sys.argv, "--order", ",".join(order)])
        if problem:
            failures += 1
            print(f"FAILED {', '.join(order)}: {problem}", flush=True)
    print(f"check_import_order: {runs} processes, {min(runs, len(orders))} of {len(orders)} orders, {failures} failed")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    main()
