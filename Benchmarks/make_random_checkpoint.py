#!/usr/bin/env python3
"""Writes an XVERSE checkpoint with random weights, as a Hugging Face directory, to measure speed with.

    make_random_checkpoint.py /tmp/xverse-1b                       1.5 G parameters, bf16, 3.1 GB
    make_random_checkpoint.py /tmp/xverse-7b --preset 7b           the shape of XVERSE-7B, 14.6 GB in shards
    make_random_checkpoint.py /tmp/small --layers 2 --hidden 256 --heads 4 --intermediate 704 --vocab 2000

Speed does not depend on the values of the weights as long as they are ordinary numbers: matrices are normal with standard
deviation 0.02, norms are 1. The text that comes out means nothing. The tokenizer has the structure of XVERSE's
(specials, single characters, merges, byte tokens) with characters of our own choice, so that every id exists.

Needs numpy only, and less than 200 MB of memory for any size.
"""

import argparse
import json
import struct
import unicodedata
from pathlib import Path

import numpy as np

PRESETS = {
    "1b": dict(hidden=2048, layers=22, heads=32, intermediate=5632, vocab=100534),
    "7b": dict(hidden=4096, layers=32, heads=32, intermediate=11008, vocab=100534),
}
SPECIAL_TOKENS = ["<sep>", "<pad>", "<|startoftext|>", "<|endoftext|>", "<|endofprompt|>", "<|endofknowledge|>"]
PAD, BOS, EOS = 1, 2, 3
SPACE = "\u2581"  # how Metaspace writes U+0020
MERGES = [
    (SPACE, "t"), ("h", "e"), ("i", "n"), ("e", "r"), (SPACE, "a"), ("o", "n"), ("r", "e"), (SPACE + "t", "he"),
    ("a", "n"), ("o", "r"), ("e", "n"), ("in", "g"), (SPACE, "o"), (SPACE + "a", "n"), ("o", "u"), (SPACE, "s"),
]  # fmt: skip
BYTE_TOKENS = [f"<0x{byte:02X}>" for byte in range(256)]


# ---- weights ----


def tensors(shape):
    """Name and shape of every tensor, in the order of the file."""
    hidden, intermediate, vocab = shape["hidden"], shape["intermediate"], shape["vocab"]
    yield "model.embed_tokens.weight", (vocab, hidden)
    for layer in range(shape["layers"]):
        prefix = f"model.layers.{layer}."
        for name in "qkvo":
            yield f"{prefix}self_attn.{name}_proj.weight", (hidden, hidden)
        yield f"{prefix}mlp.gate_proj.weight", (intermediate, hidden)
        yield f"{prefix}mlp.up_proj.weight", (intermediate, hidden)
        yield f"{prefix}mlp.down_proj.weight", (hidden, intermediate)
        yield f"{prefix}input_layernorm.weight", (hidden,)
        yield f"{prefix}post_attention_layernorm.weight", (hidden,)
    yield "model.norm.weight", (hidden,)
    yield "lm_head.weight", (vocab, hidden)


class Encoder:
    """Turns float32 into the bytes of one safetensors element type."""

    NAMES = {"bf16": "BF16", "f16": "F16", "f32": "F32"}
    TORCH_NAMES = {"bf16": "bfloat16", "f16": "float16", "f32": "float32"}

    def __init__(self, dtype):
        self.dtype = dtype
        self.size = 4 if dtype == "f32" else 2

    def __call__(self, values):
        if self.dtype == "f32":
            return values.astype("<f4")
        if self.dtype == "f16":
            return values.astype("<f2")
        bits = values.astype("<f4").view("<u4")
        # Round to nearest, ties to even: bf16 is the upper half of f32.
        return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2")


class Weights:
    """An endless supply of normal numbers: pieces, at random places, of one pool that is drawn once."""

    POOL = 1 << 22
    PIECE = 1 << 21

    def __init__(self, seed, encode):
        self.random = np.random.default_rng(seed)
        self.ones = encode(np.ones(1 << 16, dtype=np.float32))
        self.pool = encode(0.02 * self.random.standard_normal(self.POOL, dtype=np.float32))

    def pieces(self, shape):
        """The elements of a tensor as a series of arrays: a vector is a norm's weight, a matrix is random."""
        remaining = int(np.prod(shape))
        while remaining > 0:
            if len(shape) == 1:
                piece = self.ones[:remaining]
            else:
                start = int(self.random.integers(self.POOL - self.PIECE))
                piece = self.pool[start : start + min(self.PIECE, remaining)]
            remaining -= len(piece)
            yield piece


def write_safetensors(path, entries, weights, encode):
    """One file: the header's length (8 bytes), the header (JSON), then the tensors without gaps."""
    header, end = {"__metadata__": {"format": "pt"}}, 0
    for name, shape in entries:
        start, end = end, end + int(np.prod(shape)) * encode.size
        header[name] = {"dtype": Encoder.NAMES[encode.dtype], "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, shape in entries:
            for piece in weights.pieces(shape):
                file.write(piece.data)
    return end


def shards(entries, element_size, most_bytes):
    """Deals the tensors out to files of at most `most_bytes`, in order."""
    result, used = [[]], 0
    for name, shape in entries:
        size = int(np.prod(shape)) * element_size
        if result[-1] and used + size > most_bytes:
            result.append([])
            used = 0
        result[-1].append((name, shape))
        used += size
    return result


def write_weights(directory, shape, dtype, seed, most_bytes):
    encode = Encoder(dtype)
    weights = Weights(seed, encode)
    groups = shards(tensors(shape), encode.size, most_bytes)
    if len(groups) == 1:
        write_safetensors(directory / "model.safetensors", groups[0], weights, encode)
        return
    total, places = 0, {}
    for number, group in enumerate(groups, start=1):
        file = f"model-{number:05}-of-{len(groups):05}.safetensors"
        total += write_safetensors(directory / file, group, weights, encode)
        places.update({name: file for name, _ in group})
    write_json(directory / "model.safetensors.index.json", {"metadata": {"total_size": total}, "weight_map": places})


# ---- tokenizer and configuration ----


def characters():
    """Every assigned character but controls, surrogates and space, by code point."""
    for code in range(0x21, 0x110000):
        character = chr(code)
        if unicodedata.category(character) not in ("Cc", "Cs", "Co", "Cn", "Zs") and character != SPACE:
            yield character


def vocabulary(size):
    """Tokens by id: specials, single characters, results of the merges, line breaks, bytes."""
    tail = ["".join(pair) for pair in MERGES] + ["\n"] + BYTE_TOKENS
    head = SPECIAL_TOKENS + [SPACE, "\t"]
    room = size - len(head) - len(tail)
    if room < 94:
        raise SystemExit(f"--vocab is {size}, expected at least {len(head) + len(tail) + 94}")
    middle = [character for character, _ in zip(characters(), range(room))]
    middle += [f"<unused_{number}>" for number in range(room - len(middle))]
    return head + middle + tail


def tokenizer(size):
    metaspace = {"type": "Metaspace", "replacement": SPACE, "prepend_scheme": "never", "split": True}
    digits = {"type": "Digits", "individual_digits": True}
    punctuation = {"type": "Punctuation", "behavior": "Isolated"}
    flags = dict(single_word=False, lstrip=False, rstrip=False, normalized=False, special=True)
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": i, "content": token, **flags} for i, token in enumerate(SPECIAL_TOKENS)],
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [metaspace, digits, punctuation]},
        "post_processor": None,
        "decoder": {"type": "Sequence", "decoders": [metaspace, {"type": "ByteFallback"}]},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": True,
            "vocab": {token: i for i, token in enumerate(vocabulary(size))},
            "merges": [" ".join(pair) for pair in MERGES],
        },
    }


def configuration(shape, dtype):
    return {
        "architectures": ["XverseForCausalLM"],
        "model_type": "xverse",
        "hidden_act": "silu",
        "hidden_size": shape["hidden"],
        "intermediate_size": shape["intermediate"],
        "num_hidden_layers": shape["layers"],
        "num_attention_heads": shape["heads"],
        "max_position_embeddings": 8192,
        "max_tokenizer_truncation": 6144,
        "rms_norm_eps": 1e-06,
        "initializer_range": 0.02,
        "tie_word_embeddings": False,
        "torch_dtype": Encoder.TORCH_NAMES[dtype],
        "vocab_size": shape["vocab"],
        "use_cache": True,
        "pad_token_id": PAD,
        "bos_token_id": BOS,
        "eos_token_id": EOS,
    }


GENERATION = {
    "pad_token_id": PAD,
    "bos_token_id": BOS,
    "eos_token_id": EOS,
    "max_new_tokens": 2048,
    "do_sample": True,
    "temperature": 0.5,
    "top_k": 30,
    "top_p": 0.85,
    "repetition_penalty": 1.1,
}


def write_json(path, value):
    path.write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("directory", type=Path, help="made if missing; must be empty")
    parser.add_argument("--preset", choices=sorted(PRESETS), default="1b")
    for name in ("hidden", "layers", "heads", "intermediate", "vocab"):
        parser.add_argument(f"--{name}", type=int, metavar="N", help=f"overrides the preset's {name}")
    parser.add_argument("--dtype", choices=sorted(Encoder.NAMES), default="bf16")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--shard-gb", type=float, default=4.0, metavar="GB", help="most GB in a file (default 4)")
    arguments = parser.parse_args()

    shape = {name: getattr(arguments, name) or size for name, size in PRESETS[arguments.preset].items()}
    if min(shape.values()) < 1 or shape["hidden"] % (2 * shape["heads"]):
        parser.error(f"hidden {shape['hidden']} is not an even multiple of heads {shape['heads']}")
    arguments.directory.mkdir(parents=True, exist_ok=True)
    if any(arguments.directory.iterdir()):
        parser.error(f"{arguments.directory} is not empty")
    write_json(arguments.directory / "tokenizer.json", tokenizer(shape["vocab"]))
    write_json(arguments.directory / "config.json", configuration(shape, arguments.dtype))
    write_json(arguments.directory / "generation_config.json", GENERATION)
    write_weights(arguments.directory, shape, arguments.dtype, arguments.seed, int(arguments.shard_gb * 1e9))


if __name__ == "__main__":
    main()
