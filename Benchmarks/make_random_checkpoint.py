#!/usr/bin/env python3
"""Writes an XVERSE checkpoint with random weights, as a Hugging Face directory, to measure speed with.

    make_random_checkpoint.py /tmp/xverse-1b                       1.5 G parameters, bf16, 3.1 GB
    make_random_checkpoint.py /tmp/xverse-7b --preset 7b           the shape of XVERSE-7B, 14.6 GB in shards
    make_random_checkpoint.py /tmp/int4 --preset 7b --dtype int4   the same as `xverse convert` would write it
    make_random_checkpoint.py /tmp/small --layers 2 --hidden 256 --heads 4 --intermediate 704 --vocab 2000

Speed does not depend on the values of the weights as long as they are ordinary numbers: elements of matrices have
random signs and fractions and magnitudes around 0.02, norms are 1. The text that comes out means nothing. The tokenizer
has the structure of XVERSE's (specials, single characters, merges, byte tokens) with characters of our own choice, so
that every id exists.

Needs nothing but Python, and less than 200 MB of memory for any size.
"""

import argparse
import json
import os
import random
import shutil
import struct
import unicodedata
from pathlib import Path

PRESETS = {
    "1b": {"hidden": 2048, "layers": 22, "heads": 32, "intermediate": 5632, "vocab": 100534},
    "7b": {"hidden": 4096, "layers": 32, "heads": 32, "intermediate": 11008, "vocab": 100534},
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


class Encoding:
    """How numbers stand in a file: as units of bytes, in which the bits of `mask` are random and the others fixed."""

    PANEL, GROUP = 16, 32  # rows and columns of a block of quantized weights

    def __init__(self, name, mask, fixed, one=None):
        self.name, self.mask, self.fixed, self.one = name, mask, fixed, one

    def stored_shape(self, shape):
        if self.one:
            return shape
        rows, columns = shape
        return (-(-rows // self.PANEL), -(-columns // self.GROUP), len(self.fixed))

    def byte_count(self, shape):
        stored = self.stored_shape(shape)
        return product(stored) * (len(self.fixed) if self.one else 1)

    def supply(self, generator):
        """At least 4 MiB of random units."""
        count = (1 << 22) // len(self.fixed) + 1
        bits = int.from_bytes(generator.randbytes(count * len(self.fixed)), "little")
        bits = bits & int.from_bytes(self.mask * count, "little") | int.from_bytes(self.fixed * count, "little")
        return bits.to_bytes(count * len(self.fixed), "little")


def words(value, count=1):
    return struct.pack("<H", value) * count


# A float has a random sign and fraction and an exponent of 2^-6; docs/quantization.md draws the blocks.
ENCODINGS = {
    "f32": Encoding("F32", struct.pack("<I", 0x807FFFFF), struct.pack("<I", 0x3C800000), struct.pack("<f", 1)),
    "f16": Encoding("F16", words(0x83FF), words(0x2400), words(0x3C00)),
    "bf16": Encoding("BF16", words(0x807F), words(0x3C80), words(0x3F80)),
    # Odd codes, of which none is -128; scales of 2^-12.
    "int8": Encoding("U8", b"\xfe" * 512 + words(0, 16), b"\x01" * 512 + words(0x0C00, 16)),
    # Any codes; scales of 2^-11, steps of 2^-8, zero points of 7.5 codes.
    "int4": Encoding("U8", b"\xff" * 256 + words(0, 16), bytes(256) + words(0x1000 << 2 | 60, 16)),
}
TORCH_NAMES = {"bf16": "bfloat16", "f16": "float16", "f32": "float32"}


def encoding_of(name, shape, dtype):
    """Quantized models keep their norms in f32, and int4 ones embedding and lm_head in int8."""
    is_quantized = dtype not in TORCH_NAMES
    if len(shape) == 1:
        return ENCODINGS["f32" if is_quantized else dtype]
    return ENCODINGS["int8" if is_quantized and "layers" not in name else dtype]


def product(numbers):
    result = 1
    for number in numbers:
        result *= number
    return result


class Weights:
    """An endless supply of random weights: pieces, at random places, of one pool for each encoding."""

    PIECE = 1 << 21

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.pools = {}

    def pieces(self, shape, encoding):
        """The bytes of a tensor piece by piece: a vector is a norm's weight, a matrix is random."""
        remaining = encoding.byte_count(shape)
        if len(shape) == 1:
            yield encoding.one * shape[0]
            return
        if encoding not in self.pools:
            self.pools[encoding] = memoryview(encoding.supply(self.random))
        pool, unit = self.pools[encoding], len(encoding.fixed)
        while remaining > 0:
            start = self.random.randrange((len(pool) - self.PIECE) // unit) * unit
            piece = pool[start : start + min(self.PIECE // unit * unit, remaining)]
            remaining -= len(piece)
            yield piece


def write_safetensors(path, entries, weights, dtype):
    """One file: the header's length (8 bytes), the header (JSON), then the tensors without gaps."""
    header, end = {"__metadata__": {"format": "pt"}}, 0
    for name, shape in entries:
        encoding = encoding_of(name, shape, dtype)
        start, end = end, end + encoding.byte_count(shape)
        stored = list(encoding.stored_shape(shape))
        header[name] = {"dtype": encoding.name, "shape": stored, "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(8 + len(text)) % 64)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name, shape in entries:
            file.writelines(weights.pieces(shape, encoding_of(name, shape, dtype)))
        file.flush()
        # Out of the page cache, so that it comes back as a reader maps it: in huge pages.
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return end


def byte_count(entry, dtype):
    name, shape = entry
    return encoding_of(name, shape, dtype).byte_count(shape)


def shards(entries, dtype, most_bytes):
    """Deals the tensors out to files of at most `most_bytes`, in order."""
    result, used = [[]], 0
    for entry in entries:
        size = byte_count(entry, dtype)
        if result[-1] and used + size > most_bytes:
            result.append([])
            used = 0
        result[-1].append(entry)
        used += size
    return result


def write_weights(directory, shape, dtype, seed, most_bytes):
    weights = Weights(seed)
    groups = shards(tensors(shape), dtype, most_bytes)
    if len(groups) == 1:
        write_safetensors(directory / "model.safetensors", groups[0], weights, dtype)
        return
    total, places = 0, {}
    for number, group in enumerate(groups, start=1):
        file = f"model-{number:05}-of-{len(groups):05}.safetensors"
        total += write_safetensors(directory / file, group, weights, dtype)
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
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
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
    quantization = {"quant_method": "xverse", "type": dtype, "group_size": Encoding.GROUP, "layout": 2}
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
        "torch_dtype": TORCH_NAMES.get(dtype, "bfloat16"),
        "vocab_size": shape["vocab"],
        "use_cache": True,
        "pad_token_id": PAD,
        "bos_token_id": BOS,
        "eos_token_id": EOS,
        **({} if dtype in TORCH_NAMES else {"quantization_config": quantization}),
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


def require_room(directory, byte_count):
    free = shutil.disk_usage(directory.parent).free
    if free < byte_count:
        raise SystemExit(
            f"{directory} takes {byte_count / 1e9:.1f} GB, and its disk has {free / 1e9:.1f} GB left; make room there"
        )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("directory", type=Path, help="must not exist; appears when everything is written")
    parser.add_argument("--preset", choices=sorted(PRESETS), default="1b")
    for name in ("hidden", "layers", "heads", "intermediate", "vocab"):
        parser.add_argument(f"--{name}", type=int, metavar="N", help=f"overrides the preset's {name}")
    parser.add_argument("--dtype", choices=list(ENCODINGS), default="bf16")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--shard-gb", type=float, default=4.0, metavar="GB", help="most GB in a file (default 4)")
    arguments = parser.parse_args()

    shape = {name: getattr(arguments, name) or size for name, size in PRESETS[arguments.preset].items()}
    if min(shape.values()) < 1 or shape["hidden"] % (2 * shape["heads"]):
        parser.error(f"hidden {shape['hidden']} is not an even multiple of heads {shape['heads']}")
    directory, dtype = arguments.directory, arguments.dtype
    if directory.exists():
        parser.error(f"{directory} is there already")
    directory.parent.mkdir(parents=True, exist_ok=True)
    # Beside the weights a tokenizer of a few MB.
    require_room(directory, sum(byte_count(entry, dtype) for entry in tensors(shape)) + (32 << 20))
    part = directory.with_name(directory.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        part.mkdir()
        write_json(part / "tokenizer.json", tokenizer(shape["vocab"]))
        write_json(part / "config.json", configuration(shape, dtype))
        write_json(part / "generation_config.json", GENERATION)
        write_weights(part, shape, dtype, arguments.seed, int(arguments.shard_gb * 1e9))
        part.rename(directory)
    finally:
        shutil.rmtree(part, ignore_errors=True)


if __name__ == "__main__":
    main()
