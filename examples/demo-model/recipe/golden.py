#!/usr/bin/env python3
"""Computes what Hugging Face makes of the demonstration model, for the tests of libxverse.

    golden.py DIRECTORY > Tests/Fixtures/demo-model.json

transformers' LlamaForCausalLM, which is XVERSE's architecture, in float32, and tokenizers. Greedy ids are exact for another
implementation only while the best logit is well ahead of the second: a case where it is not ends this program.
"""

import json
import sys
from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import LlamaConfig, LlamaForCausalLM

EOS = 3
SMALLEST_GAP = 0.002  # ten times what the tests allow a logit to differ

TEXTS = [
    "", " ", "  two  spaces ", "Hello!", "Once upon a time, there was a brave penguin named Poppy.", "12 + 345 = 357",
    "How many legs does a spider have?\n\n", "Human: Hi\n\nAssistant: ", "tab\tand\nline\r\n", "从前，大森林里住着一只可爱的兔子。",
    "“三只红色的猫”用英语怎么说？", "你好！我叫小明：今年8岁。", "Привет, мир!", "こんにちは", "🚀 to the 🌞", "naïve café", "<|endoftext|>",
    "<sep>a<|startoftext|> b<pad>", "don't stop", "C'est la vie", "a_b-c/d\\e", "①②③ ½ Ⅷ", "\u0000\u0007", "﷽", "x" * 40,
]  # fmt: skip
PROMPTS = ["Once upon a time, there was a brave penguin named", "从前，大森林里"]
CHATS = [
    ["Who are you?"],
    ["How many legs does a spider have?", "And a hen?"],
    ["My name is Anna.", "What is 17 + 25?", "What is my name?"],
    ["Tell me a short story about a bear."],
    ["“三只白色的猫”用英语怎么说？"],
    ["法国的首都是哪里？", "意大利呢？"],
    ["讲一个关于熊猫的故事。"],
    ["What is the capital of Peru?", "And of Kenya?", "What is the opposite of hot?"],
    ["Bonjour !"],
    ["<|endoftext|>"],
]


@torch.no_grad()
def greedy(model, prompt, count):
    """Up to `count` ids after the prompt, an ending EOS included, and the logits of the first of them."""
    ids, first = [], None
    while len(ids) < count and (not ids or ids[-1] != EOS):
        logits = model(torch.tensor([prompt + ids])).logits[0, -1]
        first = logits if first is None else first
        best = logits.topk(2)
        if best.values[0] - best.values[1] < SMALLEST_GAP:
            raise SystemExit(f"golden: undecided after {ids}: choose another prompt than {prompt}")
        ids.append(best.indices[0].item())
    return ids, first


def main(directory):
    tokenizer = Tokenizer.from_file(f"{directory}/tokenizer.json")
    config = LlamaConfig(
        **{**json.loads(Path(directory, "config.json").read_text(encoding="utf-8")), "model_type": "llama"}
    )
    model = LlamaForCausalLM.from_pretrained(directory, config=config, dtype=torch.float32).eval()

    # In encode() special tokens are recognized; split at them, a text has only plain ones.
    plain = Tokenizer.from_str(json.dumps({**json.loads(tokenizer.to_str()), "added_tokens": []}))

    def encode(text):
        return plain.encode(text, add_special_tokens=False).ids

    def described(prompt, count):
        ids, logits = greedy(model, prompt, count)
        top = logits.topk(8)
        text = tokenizer.decode(ids, skip_special_tokens=True)
        return {"prompt_ids": prompt, "ids": ids, "text": text, "top_ids": top.indices.tolist(),
                "top_logits": [round(x, 6) for x in top.values.tolist()]}  # fmt: skip

    texts = [
        {"text": text, "ids": encode(text), "special_ids": tokenizer.encode(text, add_special_tokens=False).ids,
         "decoded": tokenizer.decode(encode(text), skip_special_tokens=False)}
        for text in TEXTS
    ]  # fmt: skip
    prompts = [{"prompt": text, **described(encode(text), 60)} for text in PROMPTS]
    chats = []
    for questions in CHATS:
        ids, turns = [], []
        for question in questions:
            ids = ids + encode("Human: ") + encode(question + "\n\n") + encode("Assistant: ")
            turn = described(ids, 240)
            turns.append({"question": question, **turn})
            ids = ids + encode(turn["text"]) + [EOS]
        chats.append(turns)
    print(json.dumps({"texts": texts, "prompts": prompts, "chats": chats}, ensure_ascii=False, indent=1))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
