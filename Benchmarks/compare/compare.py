#!/usr/bin/env python3
"""Measures this library and llama.cpp one after the other on the same shape, and prints both and their ratio.

    compare.py [--size 1b|7b] [--threads N] [--repeats N] BENCH        BENCH is .build/release/xverse-bench

Needs the packages of requirements.txt: `pip install -r Benchmarks/compare/requirements.txt` compiles llama.cpp for this
CPU, which takes ten minutes and more. Without llama-cpp-python a llama-bench on PATH does, which has no batches. The
models have random weights, int4 beside Q4_0 and Q4_K_M, int8 beside Q8_0, and stay under .build/bench for the next run.
"""

import argparse
import importlib.util
import json
import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
KEPT = ROOT / ".build" / "bench"
PAIRS = (("int4", "Q4_0"), ("int4", "Q4_K_M"), ("int8", "Q8_0"))
ROWS = ("prefill 512", "decode 64", "batch of 1", "batch of 4", "batch of 8", "batch of 16", "16 answers grow")

sys.path.insert(0, str(HERE.parent))
from make_random_checkpoint import PRESETS, require_room


def has(module):
    return importlib.util.find_spec(module) is not None


def require_packages():
    install = "pip install -r Benchmarks/compare/requirements.txt"
    if not has("llama_cpp") and not shutil.which("llama-bench"):
        sys.exit(
            "compare: there is no llama.cpp here, neither llama-cpp-python nor a llama-bench on PATH; "
            f"`{install}` compiles it (ten minutes and more)"
        )
    if not has("gguf"):
        sys.exit(f"compare: the Python packages gguf and numpy are missing; `{install}`")


def our_model(size, dtype):
    path = KEPT / f"{size}-{dtype}"
    if not path.is_dir():
        script = HERE.parent / "make_random_checkpoint.py"
        subprocess.run([sys.executable, script, path, "--preset", size, "--dtype", dtype], check=True)
    return path


def their_model(size, quantization):
    import random_gguf

    path = KEPT / f"{size}-{quantization}.gguf"
    if not path.is_file():
        shape = PRESETS[size]
        part = path.with_suffix(".part")
        # More than 8.5 bits for each parameter is never needed.
        elements = sum(rows * columns for _, (rows, columns) in random_gguf.matrices(shape))
        require_room(path, elements * 34 // 32)
        random_gguf.write(part, shape, quantization)
        part.rename(path)
    return path


def our_rates(bench, model, threads, repeats):
    result = model.with_suffix(".json")
    options = ["--only", "prefill,decode,batch,scheduler", "--threads", str(threads), "--repeats", str(repeats)]
    subprocess.run([bench, *options, "--json", result, model], check=True, stdout=subprocess.DEVNULL)
    rows = json.loads(result.read_text())["models"][0]["rows"]
    return {row["name"]: row["rate"]["median"] for row in rows}


def their_rates(model, threads, repeats):
    if has("llama_cpp"):
        command = [sys.executable, HERE / "llama_rows.py", model, str(threads), str(repeats)]
        rows = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout)
        return {name: statistics.median(rates) for name, rates in rows.items()}
    options = ["-t", str(threads), "-r", str(repeats), "-p", "512", "-n", "64", "-o", "json"]
    command = ["llama-bench", "-m", model, *options]
    tests = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout)
    names = {(512, 0): "prefill 512", (0, 64): "decode 64"}
    return {names[test["n_prompt"], test["n_gen"]]: statistics.median(test["samples_ts"]) for test in tests}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("bench", type=Path, metavar="BENCH")
    parser.add_argument("--size", choices=sorted(PRESETS), default="1b")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    require_packages()
    KEPT.mkdir(parents=True, exist_ok=True)

    print(f"tokens/s on {arguments.threads} threads, medians of {arguments.repeats}")
    for dtype, quantization in PAIRS:
        ours, theirs = our_model(arguments.size, dtype), their_model(arguments.size, quantization)
        own_rates = our_rates(arguments.bench.resolve(), ours, arguments.threads, arguments.repeats)
        peer_rates = their_rates(theirs, arguments.threads, arguments.repeats)
        print(f"\n{'':16}{dtype:>10}{'llama.cpp ' + quantization:>18}{'ratio':>8}")
        for name in ROWS:
            own, peer = own_rates[name], peer_rates.get(name)
            compared = f"{peer:18.1f}{own / peer:8.2f}" if peer else f"{'-':>18}{'-':>8}"
            print(f"{name:16}{own:10.1f}{compared}", flush=True)


if __name__ == "__main__":
    main()
