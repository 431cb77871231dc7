#!/usr/bin/env python3
"""Trains the demonstration model from nothing and writes it as a Hugging Face directory.

    train.py DIRECTORY [--documents N] [--seed N] [--threads N]

DIRECTORY holds the tokenizer.json that make_tokenizer.py wrote. The corpus is generated, every document is seen once.
Loss is on stories, and in conversations on the answers and the <|endoftext|> after each. A conversation is encoded in the
pieces of XVERSE's chat(), one document a row of the batch, positions from 0.
"""

import argparse
import json
import os
import random
import time
from dataclasses import dataclass

import numpy
import torch
import torch.nn.functional as F
from corpus.conversations import document
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import nn

CONTEXT = 512
LENGTHS = (32, 64, 96, 128, 192, 256, 384, CONTEXT)  # rows of a batch are filled up to one of these
BATCH_TOKENS = 8192
TOKENS_A_DOCUMENT = 132  # in batches, filling included; measured over a window of documents
PAD, EOS = 1, 3


@dataclass
class Configuration:
    vocab_size: int
    hidden_size: int = 256
    intermediate_size: int = 576
    num_hidden_layers: int = 6
    num_attention_heads: int = 4
    rms_norm_eps: float = 1e-6
    rope_theta: float = 10000.0


# ---- model: XVERSE's, with its tensor names ----


class RMSNorm(nn.Module):
    def __init__(self, size, eps):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x):
        y = x.float()
        return (self.weight * (y * torch.rsqrt(y.pow(2).mean(-1, keepdim=True) + self.eps))).to(x.dtype)


class Attention(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.heads, size = c.num_attention_heads, c.hidden_size
        self.q_proj, self.k_proj, self.v_proj, self.o_proj = (nn.Linear(size, size, bias=False) for _ in range(4))

    def forward(self, x, cos, sin):
        rows, tokens, size = x.shape
        q, k, v = (
            p(x).view(rows, tokens, self.heads, -1).transpose(1, 2) for p in (self.q_proj, self.k_proj, self.v_proj)
        )
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        if tokens <= 128:  # faster on a CPU than the fused one
            scores = (q @ k.transpose(2, 3)).float() / q.shape[-1] ** 0.5
            scores = scores.masked_fill(torch.ones(tokens, tokens, dtype=torch.bool).triu(1), -torch.inf)
            y = scores.softmax(-1).to(v.dtype) @ v
        else:
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.o_proj(y.transpose(1, 2).reshape(rows, tokens, size))


def rotate(x, cos, sin):
    a, b = x.chunk(2, -1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1).to(x.dtype)


class MLP(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.gate_proj = nn.Linear(c.hidden_size, c.intermediate_size, bias=False)
        self.up_proj = nn.Linear(c.hidden_size, c.intermediate_size, bias=False)
        self.down_proj = nn.Linear(c.intermediate_size, c.hidden_size, bias=False)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.input_layernorm = RMSNorm(c.hidden_size, c.rms_norm_eps)
        self.self_attn = Attention(c)
        self.post_attention_layernorm = RMSNorm(c.hidden_size, c.rms_norm_eps)
        self.mlp = MLP(c)

    def forward(self, x, cos, sin):
        x = x + self.self_attn(self.input_layernorm(x), cos, sin)
        return x + self.mlp(self.post_attention_layernorm(x))


class Model(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.model = nn.Module()
        self.model.embed_tokens = nn.Embedding(c.vocab_size, c.hidden_size)
        self.model.layers = nn.ModuleList(Layer(c) for _ in range(c.num_hidden_layers))
        self.model.norm = RMSNorm(c.hidden_size, c.rms_norm_eps)
        self.lm_head = nn.Linear(c.hidden_size, c.vocab_size, bias=False)
        half = c.hidden_size // c.num_attention_heads // 2
        angles = torch.outer(torch.arange(CONTEXT).float(), c.rope_theta ** (-torch.arange(half).float() / half))
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)
        for p in self.parameters():
            if p.dim() == 2:
                nn.init.normal_(p, std=0.02)

    def hidden(self, ids):
        x = self.model.embed_tokens(ids)
        cos, sin = self.cos[: ids.shape[1]], self.sin[: ids.shape[1]]
        for layer in self.model.layers:
            x = layer(x, cos, sin)
        return self.model.norm(x)

    def loss(self, hidden, targets):
        """Mean cross-entropy over the targets that are not -100."""
        wanted = targets.flatten() != -100
        return F.cross_entropy(self.lm_head(hidden.flatten(0, 1)[wanted]).float(), targets.flatten()[wanted])


# ---- data ----


def encoded(tokenizer, documents):
    """[(ids, is_target)], as arrays, of documents of at most CONTEXT tokens."""
    pieces = []
    for made in documents:
        if isinstance(made, str):
            pieces.append(made)
        else:
            for turn in made:
                pieces += [turn.question + "\n\n", turn.answer]
    ids = iter([e.ids for e in tokenizer.encode_batch(pieces, add_special_tokens=False)])
    human, assistant = (tokenizer.encode(text).ids for text in ("Human: ", "Assistant: "))
    rows = []
    for made in documents:
        if isinstance(made, str):
            row = next(ids) + [EOS]
            wanted = [True] * len(row)
        else:
            row, wanted = [], []
            for _ in made:
                prompt, answer = human + next(ids) + assistant, next(ids) + [EOS]
                if len(row) + len(prompt) + len(answer) > CONTEXT:
                    continue
                row += prompt + answer
                wanted += [False] * len(prompt) + [True] * len(answer)
        rows.append((numpy.array(row[:CONTEXT], numpy.int16), numpy.array(wanted[:CONTEXT])))
    return [row for row in rows if len(row[0])]


def batches(tokenizer, count, seed):
    """Batches of about BATCH_TOKENS tokens, rows of like length together, in random order within windows of documents."""
    rng, order = random.Random(seed), random.Random(seed)
    window = 65536
    for start in range(0, count, window):
        rows = encoded(tokenizer, [document(rng) for _ in range(min(window, count - start))])
        made = []
        for low, high in zip((0, *LENGTHS), LENGTHS):
            fitting = [row for row in rows if low < len(row[0]) - 1 <= high or (low == 0 and len(row[0]) <= 1)]
            size = BATCH_TOKENS // high
            for i in range(0, len(fitting) - len(fitting) % size, size):
                ids = numpy.full((size, high + 1), PAD, numpy.int64)
                targets = numpy.full((size, high + 1), -100, numpy.int64)
                for j, (row, wanted) in enumerate(fitting[i : i + size]):
                    ids[j, : len(row)] = row
                    targets[j, : len(row)] = numpy.where(wanted, row, -100)
                made.append((torch.from_numpy(ids[:, :-1].copy()), torch.from_numpy(targets[:, 1:].copy())))
        order.shuffle(made)
        yield from made


# ---- optimizer ----


class Muon(torch.optim.Optimizer):
    """Momentum made orthogonal (Jordan et al. 2024), for the matrices inside the layers."""

    def __init__(self, parameters, lr, momentum=0.95, weight_decay=0.01):
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                average = self.state[p].setdefault("average", torch.zeros_like(p))
                average.lerp_(p.grad, 1 - group["momentum"])
                update = orthogonal(p.grad.lerp(average, group["momentum"]))
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.add_(update, alpha=-group["lr"] * max(1, p.shape[0] / p.shape[1]) ** 0.5)


def orthogonal(g):
    """The nearest orthogonal matrix, roughly, by five steps of a quintic Newton-Schulz iteration."""
    x = g.bfloat16()
    if g.shape[0] > g.shape[1]:
        x = x.T
    x = x / (x.norm() + 1e-7)
    for _ in range(5):
        s = x @ x.T
        x = 3.4445 * x + (-4.7750 * s + 2.0315 * s @ s) @ x
    return (x.T if g.shape[0] > g.shape[1] else x).float()


# ---- files ----


def write(directory, model, c):
    state = {name: tensor.detach().bfloat16().contiguous() for name, tensor in model.state_dict().items()}
    save_file(state, os.path.join(directory, "model.safetensors"), metadata={"format": "pt"})
    config = {
        "architectures": ["XverseForCausalLM"], "model_type": "xverse", "vocab_size": c.vocab_size, "hidden_size": c.hidden_size,
        "intermediate_size": c.intermediate_size, "num_hidden_layers": c.num_hidden_layers,
        "num_attention_heads": c.num_attention_heads, "hidden_act": "silu", "rms_norm_eps": c.rms_norm_eps,
        "max_position_embeddings": CONTEXT, "max_tokenizer_truncation": CONTEXT, "initializer_range": 0.02,
        "tie_word_embeddings": False, "use_cache": True, "pad_token_id": PAD, "bos_token_id": 2, "eos_token_id": EOS,
        "torch_dtype": "bfloat16",
    }  # fmt: skip
    generation = {
        "pad_token_id": PAD, "bos_token_id": 2, "eos_token_id": EOS, "max_new_tokens": 240, "do_sample": True, "temperature": 0.5,
        "top_k": 30, "top_p": 0.85, "repetition_penalty": 1.0,
    }  # fmt: skip
    for name, value in (("config.json", config), ("generation_config.json", generation)):
        with open(os.path.join(directory, name), "w") as file:
            json.dump(value, file, indent=2)
            file.write("\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory")
    parser.add_argument("--documents", type=int, default=350_000)
    parser.add_argument("--seed", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--learning-rate", type=float, default=0.015, help="of Muon; AdamW's is a sixth of it")
    arguments = parser.parse_args()

    torch.manual_seed(arguments.seed)
    torch.set_num_threads(arguments.threads)
    tokenizer = Tokenizer.from_file(os.path.join(arguments.directory, "tokenizer.json"))
    c = Configuration(tokenizer.get_vocab_size())
    model = Model(c)
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters", flush=True)
    matrices = [p for name, p in model.named_parameters() if p.dim() == 2 and "layers." in name]
    others = [p for name, p in model.named_parameters() if not (p.dim() == 2 and "layers." in name)]
    rate = arguments.learning_rate
    optimizers = [Muon(matrices, rate), torch.optim.AdamW(others, rate / 6, betas=(0.9, 0.95), weight_decay=0.0)]
    torch._dynamo.config.recompile_limit = 2 * len(LENGTHS)
    hidden = torch.compile(model.hidden, dynamic=False)

    started, seen, steps, losses = time.time(), 0, 0, []
    expected = arguments.documents / BATCH_TOKENS * TOKENS_A_DOCUMENT
    for ids, targets in batches(tokenizer, arguments.documents, arguments.seed):
        progress = min(1.0, steps / expected)
        # Warm up, stay, and fall to nothing in the last 60 %.
        factor = min(1.0, (steps + 1) / 100, (1 - progress) / 0.6 + 0.01)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group.setdefault("peak", group["lr"]) * factor
        with torch.autocast("cpu", torch.bfloat16):
            loss = model.loss(hidden(ids), targets)
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        losses.append(loss.item())
        seen += ids.numel()
        steps += 1
        if steps % 100 == 0:
            spent = time.time() - started
            print(f"step {steps} of about {expected:.0f}: loss {sum(losses[-100:]) / 100:.4f}, {seen / spent:.0f} tokens/s, "
                  f"{spent / 60:.1f} min", flush=True)  # fmt: skip
        if steps % 500 == 0:
            write(arguments.directory, model, c)
    write(arguments.directory, model, c)
    print(f"{steps} steps, {seen:,} tokens, {(time.time() - started) / 60:.1f} minutes")


if __name__ == "__main__":
    main()
