#!/usr/bin/env python3
"""Compares the logits of libxverse with those of Hugging Face transformers in float32.

    compare_transformers.py MODEL [PROMPT ...]      needs torch, transformers, tokenizers, safetensors from PyPI

MODEL is a Hugging Face directory of a dense XVERSE model with safetensors, loaded as LlamaForCausalLM, which has the same
mathematics. XVERSE_LIBRARY names the library, where it is not installed.
"""

import glob
import json
import os
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from transformers import LlamaConfig, LlamaForCausalLM

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "bindings", "python", "src"))
import xverse

TOLERANCE = 1e-3
PROMPTS = [
    "The capital of France is",
    "def quicksort(values):\n    if len(values) <= 1:\n        return values\n",
    "Human: How many legs does a spider have?\n\nAssistant: ",
    "In 1969, two astronauts walked on the Moon; 50 years later, ",
    "今天天气很好，我们去公园散步吧。",
    "La révolution française commença en 1789, lorsque",
    "🚀 emoji, tabs\tand   spaces\n\n\nand 12345678901234567890 digits",
    "It was the best of times, it was the worst of times. " * 60,
]


def load_reference(path):
    config = json.loads(Path(path, "config.json").read_text(encoding="utf-8"))
    state = {}
    for file in sorted(glob.glob(os.path.join(path, "*.safetensors"))):
        state.update(load_file(file))
    heads = config["num_attention_heads"]
    model = LlamaForCausalLM(
        LlamaConfig(
            **{key: config[key] for key in (
                "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
                "rms_norm_eps", "max_position_embeddings", "bos_token_id", "eos_token_id",
            )},
            num_key_value_heads=config.get("num_key_value_heads", heads), tie_word_embeddings=False,
            rope_parameters={"rope_type": "default", "rope_theta": float(config.get("rope_theta", 10000.0))},
            attn_implementation="eager",
        )
    )  # fmt: skip
    model.load_state_dict({key: value.float() for key, value in state.items()})
    return model.float().eval()


def logits_of(session, ids):
    session.eval(ids)
    return torch.tensor(session.logits())


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    path, prompts = sys.argv[1], sys.argv[2:] or PROMPTS
    model, reference = xverse.Model(path), load_reference(path)
    tokenizer = Tokenizer.from_file(os.path.join(path, "tokenizer.json"))
    failures = 0
    for prompt in prompts:
        ids = tokenizer.encode(prompt, add_special_tokens=False).ids
        same_ids = model.tokenizer.encode(prompt, special=True) == ids
        with torch.no_grad():
            expected = reference(torch.tensor([ids])).logits[0, -1]
        difference = (logits_of(model.session(), ids) - expected).abs().max().item()
        failed = difference > TOLERANCE or not same_ids
        failures += failed
        print(
            f"{len(ids):5} tokens  ids {'equal' if same_ids else 'DIFFER'}  logits within {difference:.2e}  {prompt[:40]!r}"
        )
    print(f"{len(prompts) - failures} passed, {failures} failed")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
