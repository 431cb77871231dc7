"""Writes a GGUF with random weights for llama.cpp: the shapes and parameter counts of make_random_checkpoint.py."""

import struct

import gguf
import numpy as np

# Bytes of a block, weights in it, where its f16 scales are, and their bits; all other bytes are random.
BLOCKS = {
    "Q4_0": (18, 32, (0,), 0x2000),
    "Q4_K": (144, 256, (0, 2), 0x0040),
    "Q6_K": (210, 256, (208,), 0x0010),
    "Q8_0": (34, 32, (0,), 0x0C00),
}
POOL_BYTES = 64 << 20


def matrices(shape):
    """Name and shape of every matrix."""
    hidden, intermediate, vocab = shape["hidden"], shape["intermediate"], shape["vocab"]
    yield "token_embd.weight", (vocab, hidden)
    for layer in range(shape["layers"]):
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            yield f"blk.{layer}.{name}.weight", (hidden, hidden)
        yield f"blk.{layer}.ffn_gate.weight", (intermediate, hidden)
        yield f"blk.{layer}.ffn_up.weight", (intermediate, hidden)
        yield f"blk.{layer}.ffn_down.weight", (hidden, intermediate)
    yield "output.weight", (vocab, hidden)


def norms(shape):
    for layer in range(shape["layers"]):
        yield f"blk.{layer}.attn_norm.weight"
        yield f"blk.{layer}.ffn_norm.weight"
    yield "output_norm.weight"


def encoding_of(name, layers, quantization):
    """As llama-quantize does: the output matrix of a 4-bit model is Q6_K; of Q4_K_M half of attn_v and ffn_down as well."""
    if quantization == "Q8_0":
        return "Q8_0"
    if name == "output.weight":
        return "Q6_K"
    if quantization == "Q4_0":
        return "Q4_0"
    parts = name.split(".")
    if parts[-2] not in ("attn_v", "ffn_down"):
        return "Q4_K"
    eighth, layer = layers // 8, int(parts[1])
    is_finer = layer < eighth or layer >= 7 * layers // 8 or (layer - eighth) % 3 == 2
    return "Q6_K" if is_finer else "Q4_K"


def pool_of(encoding, random):
    """Random blocks with a scale that keeps weights around 0.02."""
    size, _, scale_offsets, scale = BLOCKS[encoding]
    blocks = random.integers(0, 256, (POOL_BYTES // size, size), dtype=np.uint8)
    for offset in scale_offsets:
        blocks[:, offset : offset + 2] = np.frombuffer(struct.pack("<H", scale), dtype=np.uint8)
    return blocks.reshape(-1)


def add_vocabulary(writer, size):
    """Tokens that mean nothing; llama.cpp wants some of each kind."""
    tokens = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    types = [gguf.TokenType.UNKNOWN, gguf.TokenType.CONTROL, gguf.TokenType.CONTROL] + [gguf.TokenType.BYTE] * 256
    types += [gguf.TokenType.NORMAL] * (size - len(tokens))
    tokens += [f"\u2581t{number}" for number in range(size - len(tokens))]
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([-float(index) for index in range(size)])
    writer.add_token_types(types)


def write(path, shape, quantization):
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(8192)
    writer.add_embedding_length(shape["hidden"])
    writer.add_block_count(shape["layers"])
    writer.add_feed_forward_length(shape["intermediate"])
    writer.add_rope_dimension_count(shape["hidden"] // shape["heads"])
    writer.add_head_count(shape["heads"])
    writer.add_head_count_kv(shape["heads"])
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_vocab_size(shape["vocab"])
    add_vocabulary(writer, shape["vocab"])

    byte_shapes, encodings = {}, {}
    for name, (rows, columns) in matrices(shape):
        encodings[name] = encoding_of(name, shape["layers"], quantization)
        size, weights, _, _ = BLOCKS[encodings[name]]
        byte_shapes[name] = (rows, columns // weights * size)
        kind = gguf.GGMLQuantizationType[encodings[name]]
        writer.add_tensor_info(name, byte_shapes[name], np.dtype(np.uint8), int(np.prod(byte_shapes[name])), kind)
    ones = np.ones(shape["hidden"], dtype=np.float32)
    for name in norms(shape):
        writer.add_tensor_info(name, ones.shape, ones.dtype, ones.nbytes)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()

    random = np.random.default_rng(0)
    pools = {}
    for name, byte_shape in byte_shapes.items():
        encoding = encodings[name]
        if encoding not in pools:
            pools[encoding] = pool_of(encoding, random)
        # Repeats the pool as often as it takes.
        writer.write_tensor_data(np.resize(pools[encoding], byte_shape))
    for _ in norms(shape):
        writer.write_tensor_data(ones)
    writer.close()
