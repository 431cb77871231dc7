#!/usr/bin/env python3
"""Trains the demonstration model's tokenizer and writes tokenizer.json in the layout of XVERSE's own.

    make_tokenizer.py DIRECTORY

Ids: six special tokens, single characters by code point, merges in order of rank, "\\n", 256 bytes. As in XVERSE's
vocabulary the full-width comma, question mark, colon and exclamation mark are not characters but three bytes each, and
(nearly) every Chinese character is one token: the merges are learned from the English half of the corpus.
"""

import json
import os
import random
import sys

from corpus.conversations import document
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

DOCUMENTS = 60_000
MERGES = 1100
SPECIAL = ["<sep>", "<pad>", "<|startoftext|>", "<|endoftext|>", "<|endofprompt|>", "<|endofknowledge|>"]
PUNCTUATION = "。、“”《》·—"
METASPACE = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "never", "split": True}
PRE_TOKENIZER = {
    "type": "Sequence",
    "pretokenizers": [
        METASPACE,
        {"type": "Digits", "individual_digits": True},
        {"type": "Punctuation", "behavior": "Isolated"},
    ],
}


def corpus_texts():
    rng = random.Random(1)
    for _ in range(DOCUMENTS):
        made = document(rng)
        if isinstance(made, str):
            yield made
        else:
            for turn in made:
                yield f"Human: {turn.question}\n\n"
                yield "Assistant: "
                yield turn.answer


def is_ideograph(character):
    return "\u4e00" <= character <= "\u9fff"


def main(directory):
    texts = list(corpus_texts())
    ideographs = {c for text in texts for c in text if is_ideograph(c)}
    characters = sorted({chr(c) for c in range(0x21, 0x7F)} | ideographs | set(PUNCTUATION) | {"▁"})

    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="never", split=True),
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.Punctuation(behavior="isolated"),
        ]
    )
    english = [text for text in texts if text.isascii()]
    alphabet = sorted({"▁" if c == " " else c for text in english for c in text if c != "\n"})
    trainer = trainers.BpeTrainer(
        vocab_size=len(alphabet) + MERGES, initial_alphabet=alphabet, limit_alphabet=len(alphabet), show_progress=False
    )
    learner.train_from_iterator([text.replace("\n", " ") for text in english], trainer)
    merges = [tuple(pair) for pair in json.loads(learner.to_str())["model"]["merges"]]

    tokens = SPECIAL + characters + ["".join(pair) for pair in merges] + ["\n"] + [f"<0x{b:02X}>" for b in range(256)]
    assert len(tokens) == len(set(tokens))
    tokenizer = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": i, "content": token, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
            for i, token in enumerate(SPECIAL)
        ],
        "normalizer": None,
        "pre_tokenizer": PRE_TOKENIZER,
        "post_processor": None,
        "decoder": {"type": "Sequence", "decoders": [METASPACE, {"type": "ByteFallback"}]},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": True,
            "vocab": {token: i for i, token in enumerate(tokens)},
            "merges": [" ".join(pair) for pair in merges],
        },
    }  # fmt: skip
    os.makedirs(directory, exist_ok=True)
    with open(os.path.join(directory, "tokenizer.json"), "w", encoding="utf-8") as file:
        json.dump(tokenizer, file, ensure_ascii=False, indent=1)
        file.write("\n")
    with open(os.path.join(directory, "tokenizer_config.json"), "w", encoding="utf-8") as file:
        json.dump({"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "<pad>", "bos_token": "<|startoftext|>",
                   "eos_token": "<|endoftext|>", "clean_up_tokenization_spaces": False}, file, indent=2)  # fmt: skip
        file.write("\n")
    print(f"{len(tokens)} tokens: {len(characters)} characters ({len(ideographs)} ideographs), {len(merges)} merges")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
