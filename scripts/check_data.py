#!/usr/bin/env python3
"""Compares libxverse with reference outputs that this project did not compute.

    check_data.py FOLDER        XVERSE_LIBRARY names the library, where it is not installed

FOLDER holds data/ (a small trained model in several formats, with float32 references: README.md there tells the
tolerances) and tokenizer/ (token vectors of the real vocabulary). Needs nothing but Python's standard library.
"""

import ast
import json
import math
import os
import struct
import sys
import zipfile
from pathlib import Path

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "bindings", "python", "src"))
import xverse

LOGIT_TOLERANCE = 2e-4
# Mean distance a token. Single tokens may be as far off as a logit: the float32 reference itself is up to 7.7e-5 away
# from a float64 computation of the same log-probabilities (prompt long2, token 254).
LOGPROB_TOLERANCE = 3e-5
PERPLEXITY_TOLERANCE = 1e-4
DECIDED_GAP = 1e-3
MODELS = ["hf-f32", "hf-f16-sharded", "hf-bf16"]


class Report:
    """Counts checks and failures, and remembers the largest difference of each kind."""

    def __init__(self):
        self.passed = self.failed = 0
        self.largest = {}

    def check(self, ok, what):
        if ok:
            self.passed += 1
        else:
            self.failed += 1
            print(f"FAILED {what}")

    def near(self, kind, difference, tolerance, what):
        self.largest[kind] = max(self.largest.get(kind, 0.0), difference)
        self.check(difference <= tolerance, f"{what}: {kind} differs by {difference:.3g}, allowed {tolerance:.3g}")


def read_json(path):
    return json.loads(Path(path).read_text(encoding="utf-8"))


def read_npz(path):
    """name -> flat list of numbers, of an .npz file with little-endian f4 and i4 arrays."""
    arrays = {}
    with zipfile.ZipFile(path) as archive:
        for member in archive.namelist():
            data = archive.read(member)
            length = struct.unpack("<H", data[8:10])[0]
            header = ast.literal_eval(data[10 : 10 + length].decode())
            count = math.prod(header["shape"])
            arrays[member.removesuffix(".npy")] = struct.unpack(f"<{count}{header['descr'][1]}", data[10 + length :])
    return arrays


class Sequence:
    """A session driven token by token."""

    def __init__(self, model):
        self.session = model.session()

    def logits(self, tokens):
        """The logits after the tokens, from an empty session."""
        self.session.truncate(0)
        self.session.eval(tokens)
        return list(self.session.logits())

    def logprobs(self, tokens):
        """ln p of every token but the first."""
        self.session.truncate(0)
        return self.session.score(tokens)[1:]

    def continuation(self, tokens, count, penalty):
        """`count` greedy tokens, EOS or not."""
        options = {"temperature": 0, "max_new_tokens": count, "ignore_eos": True, "repetition_penalty": penalty}
        return self.session.generate(list(tokens), **options).tokens


def check_prompts(report, model, name, references):
    prompts = read_json(os.path.join(references, "prompts.json"))["records"]
    arrays = read_npz(os.path.join(references, "prompts.npz"))
    sequence = Sequence(model)
    for prompt in prompts:
        what = f"{name} {prompt['id']}"
        if prompt["kind"] != "chatmulti":
            ids = model.tokenizer.encode(prompt["text"], special=True)
            report.check(ids == prompt["token_ids"], f"{what}: ids {ids}, expected {prompt['token_ids']}")
        decoded = model.tokenizer.decode(prompt["token_ids"])
        report.check(decoded == prompt["decoded"], f"{what}: decoded {decoded!r}, expected {prompt['decoded']!r}")

        logits = sequence.logits(prompt["input_ids"])
        worst = max(abs(logits[i] - x) for i, x in zip(prompt["top20_ids"], prompt["top20_logits"]))
        report.near("top-20 logits", worst, LOGIT_TOLERANCE, what)
        report.near("least logit", abs(min(logits) - prompt["logit_min"]), LOGIT_TOLERANCE, what)
        report.near("mean logit", abs(sum(logits) / len(logits) - prompt["logit_mean"]), LOGIT_TOLERANCE, what)
        final = arrays.get(prompt["id"] + ".final_logits")
        if final:
            report.near("final logits", max(abs(a - b) for a, b in zip(logits, final)), LOGIT_TOLERANCE, what)

        expected = arrays[prompt["id"] + ".token_logprob"]
        if expected:
            found = sequence.logprobs(prompt["input_ids"])
            report.check(len(found) == len(expected), f"{what}: {len(found)} log-probabilities")
            near_logprobs(report, found, expected, what)

        for kind, penalty in (("greedy", 1.0), ("greedy_rp1.1", 1.1)):
            reference = prompt[kind]
            found = sequence.continuation(prompt["input_ids"], len(reference["ids"]), penalty)
            report.check(agrees(found, reference), f"{what}: {kind} {found}, expected {reference['ids']}")


def near_logprobs(report, found, expected, what):
    differences = [abs(a - b) for a, b in zip(found, expected)]
    report.near("log-probabilities, mean", sum(differences) / len(differences), LOGPROB_TOLERANCE, what)
    report.near("log-probabilities, single", max(differences), LOGIT_TOLERANCE, what)


def agrees(found, reference):
    """Equal up to the first step that was not decided."""
    for step, (token, gap) in enumerate(zip(reference["ids"], reference["gap"])):
        if gap < DECIDED_GAP:
            return True
        if step >= len(found) or found[step] != token:
            return False
    return len(found) == len(reference["ids"])


def check_perplexity(report, model, name, data):
    expected = read_json(os.path.join(data, "refs", "perplexity_quant.json"))["variants"]["f32"]["ppl"]
    # The reference was read in text mode: its line ends are single line feeds.
    text = Path(data, "texts", "tinystories_valid_30k.txt").read_text(encoding="utf-8")
    found = model.perplexity(text, context=512, bos=True)
    report.near("perplexity, relative", abs(found.value / expected - 1), PERPLEXITY_TOLERANCE, name)
    windows = read_npz(os.path.join(data, "refs", "perplexity_f32.npz"))
    sequence = Sequence(model)
    for window in range(len(windows["window_ids"]) // 512):
        ids = windows["window_ids"][window * 512 : (window + 1) * 512]
        expected = windows["token_logprob"][window * 511 : (window + 1) * 511]
        near_logprobs(report, sequence.logprobs(ids), expected, f"{name} window {window}")


def check_chat(report, model, name, references):
    """The conversation chatmulti1, piece by piece as XVERSE's chat() encodes it, against its reference ids."""
    prompts = read_json(os.path.join(references, "prompts.json"))["records"]
    reference = next(prompt for prompt in prompts if prompt["kind"] == "chatmulti")
    encode, eos = model.tokenizer.encode, model.tokenizer.eos
    first, second = reference["text"].split("<EOS>")
    question, answer = first.split("Assistant: ")
    ids = encode(question) + encode("Assistant: " + answer) + [eos] + encode(second)
    report.check(ids == reference["token_ids"], f"{name} chatmulti1: ids {ids}, expected {reference['token_ids']}")


def check_vectors(report, folder):
    vectors = read_json(os.path.join(folder, "vectors.json"))
    tokenizer = xverse.Tokenizer(os.path.join(folder, "xverse-subset-tokenizer.json"))
    for vector in vectors["official"] + vectors["derived"]:
        ids = tokenizer.encode(vector["text"], special=vector.get("special", False))
        report.check(ids == vector["ids"], f"vector {vector['text']!r}: ids {ids}, expected {vector['ids']}")
        text = tokenizer.decode(vector["ids"])
        report.check(text == vector["text"], f"vector {vector['text']!r}: decoded {text!r}")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    data = os.path.join(sys.argv[1], "data")
    report = Report()
    for name in MODELS:
        model = xverse.Model(os.path.join(data, "stories260k-xverse", name))
        check_prompts(report, model, name, os.path.join(data, "refs"))
        check_chat(report, model, name, os.path.join(data, "refs"))
        check_perplexity(report, model, name, data)
    check_vectors(report, os.path.join(sys.argv[1], "tokenizer"))
    for kind, difference in sorted(report.largest.items()):
        print(f"largest difference, {kind}: {difference:.3g}")
    print(f"{report.passed} passed, {report.failed} failed")
    sys.exit(1 if report.failed else 0)


if __name__ == "__main__":
    main()
