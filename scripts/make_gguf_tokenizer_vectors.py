#!/usr/bin/env python3
"""Writes Tests/Fixtures/gguf-tokenizers.json: small tokenizers as GGUF files have them, and what others make of texts.

    make_gguf_tokenizer_vectors.py       needs gguf, llama-cpp-python and tokenizers from PyPI

The vocabularies are learned from the texts themselves, across the borders of words, so that a border at a wrong place
gives other ids. llama.cpp encodes with the models "gpt2" and "llama". With XVERSE's vocabulary, which has neither
scores nor merges, it gives other ids than the models were trained with: there the reference is `tokenizers`.
"""

import ctypes
import json
import os
import tempfile

import gguf
import llama_cpp
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

OUTPUT = "Tests/Fixtures/gguf-tokenizers.json"
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)
PRE_TOKENIZERS = ["default", "gpt-2", "smollm", "llama-bpe"]
TEXTS = [
    "", " ", "a", "Hello world", "  Hello   world  ", "hello\n\n\nworld\n", "\n", " \n \n  x",
    "\t\tx = 1;\r\n\r\n  y\r", "I'll, we've, she'd: it's 'tis, don't, they're, I'm.",
    "I'LL WE'VE SHE'D IT'S DON'T THEY'RE I'M 'Re'vE", "''s'll'x'", "'", "1 12 123 1234 12345 1234567",
    "3.14159 1,000,000 -1 0x1F 1e-9", "a1b22c333d4444", "½ ² Ⅷ ①② ٣٤٥٦ ０１２３ 四五 12٣45",
    "...!!! ?! -- (a) [b] {c} <d> 'e' \"f\" `g` ~h #i @j $5 €6 £7 10% a&b x^y i*j k+l m=n o|p q_r \\s /t",
    "a==b != c <= d >= e -> f => g :: // /* */ && || <<= ;;", "$+<=>^~|`$$++", ".a,b;c:d",
    "«“‘’”»…—–·。，！？；：", "中文和English混合，数字123。", "你好，世界！", "日本語のテスト", "한국어 시험", "Здравствуйте, мир",
    "مرحبا بالعالم", "שלום", "हिन्दी में", "naïve façade Straße", "e\u0301 a\u0300\u0301 \u0301x",
    "😀👍🏽 👨‍👩‍👧 🇩🇪 x😀y", "\u00a0x \u3000y\u2028z\u0085w  \u00a0 v", "\u200b\u200d\ufeff", "\x00\x01\x7f",
    "x\x00y", "▁x ▁▁y", "<0x41> <0xFF> <0x-1>", "<|end|>", "a<|end|>b <|end|> c", "<tool>",
    "a <tool> b<tool>c", "<s>hello</s> world<unk>", "<s></s>", "ßü ß ü",
    "unreachable words unreachable", "for (int i = 0; i < 10; ++i) {\n    print(f\"{i}\");\n}\n",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "                    ", "\n \n \n\n\n  \n", "ſ 'ſ K ǅ ʰ ª º",
    "x²y³ H₂O 5km", "http://example.org/a?b=c&d=e#f", "user@example.org", "2024-01-31T12:34:56Z",
]  # fmt: skip


# What vocabularies are learned from: some characters stay without a token.
LEARNED = [text for text in TEXTS * 2 if not any(part in text for part in ["\x00", "ſ", "<|", "<tool", "<s>", "unr"])]


def gpt2_description():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=700, initial_alphabet=alphabet, min_frequency=1, max_token_length=8, show_progress=False
    )
    tokenizer.train_from_iterator(LEARNED, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].get)
    types = [NORMAL] * len(tokens)
    # A word that no merge makes, and tokens that are cut out of the text.
    for token, kind in [("Ġunreachable", NORMAL), ("<|end|>", CONTROL), ("<tool>", USER_DEFINED), ("[GAP]", UNUSED)]:
        tokens.append(token)
        types.append(kind)
    return {
        "model": "gpt2", "tokens": tokens, "types": types, "scores": [],
        "merges": [" ".join(merge) for merge in model["merges"]],
        "bos": tokens.index("<|end|>"), "eos": tokens.index("<|end|>"),
    }  # fmt: skip


def metaspace_model(pre_tokenizer, size):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizer
    trainer = trainers.BpeTrainer(vocab_size=size, min_frequency=1, max_token_length=10, show_progress=False)
    tokenizer.train_from_iterator(LEARNED, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    # One merge for each token, as XVERSE has it.
    merges = {"".join(merge): tuple(merge) for merge in reversed(model["merges"])}
    return [token for token in model["vocab"] if len(token) == 1], dict(reversed(merges.items()))


def byte_tokens():
    return [f"<0x{byte:02X}>" for byte in range(256)]


def llama_description():
    metaspace = pre_tokenizers.Metaspace(prepend_scheme="always", split=False)
    characters, merges = metaspace_model(metaspace, 900)
    merged = list(merges)
    # Characters without a token, and a token that is made of two of them.
    characters = sorted(set(characters) - set("ßüя")) + ["ßü"]
    tokens = ["<unk>", "<s>", "</s>"] + byte_tokens() + ["<tool>"] + merged + characters
    types = [UNKNOWN, CONTROL, CONTROL] + [BYTE] * 256 + [USER_DEFINED] + [NORMAL] * (len(merged) + len(characters))
    # Every other score is that of the token before it.
    scores = [0.0] * 260 + [float(-(rank // 2)) for rank in range(len(merged))]
    scores += [-1000.0 - rank for rank in range(len(characters))]
    return {
        "model": "llama", "pre": "default", "tokens": tokens, "types": types, "scores": scores, "merges": [],
        "bos": 1, "eos": 2, "unk": 0,
    }  # fmt: skip


def xverse():
    """XVERSE's vocabulary as llama.cpp's converter writes it, and the tokenizer that it comes from."""
    pieces = [
        pre_tokenizers.Metaspace(prepend_scheme="never", split=True), pre_tokenizers.Digits(individual_digits=True),
        pre_tokenizers.Punctuation("isolated"),
    ]  # fmt: skip
    characters, merges = metaspace_model(pre_tokenizers.Sequence(pieces), 500)
    characters = sorted(set(characters) - {"\n"} | {"\0"})
    tokens = ["<sep>", "<|end|>"] + characters + list(merges) + ["\n"] + byte_tokens()
    vocabulary = {token: index for index, token in enumerate(tokens)}
    reference = Tokenizer(models.BPE(vocabulary, list(merges.values()), byte_fallback=True))
    reference.add_special_tokens([AddedToken(token, normalized=False) for token in tokens[:2]])
    reference.pre_tokenizer = pre_tokenizers.Sequence(pieces)
    reference.decoder = decoders.Sequence([decoders.Metaspace(prepend_scheme="never"), decoders.ByteFallback()])
    types = [CONTROL] * 2 + [NORMAL] * (len(characters) + len(merges) + 1) + [BYTE] * 256
    types[2] = BYTE
    spelled = [r"<b'\x00'>" if token == "\0" else token for token in tokens]
    description = {
        "model": "llama", "pre": "default", "tokens": spelled, "types": types, "scores": [], "merges": [], "eos": 1,
    }  # fmt: skip
    return description, reference


class LlamaVocabulary:
    """A description as llama.cpp reads it from a GGUF file."""

    def __init__(self, description, pre):
        path = os.path.join(tempfile.mkdtemp(), "vocabulary.gguf")
        writer = gguf.GGUFWriter(path, "llama")
        writer.add_tokenizer_model(description["model"])
        writer.add_tokenizer_pre(pre)
        writer.add_token_list(description["tokens"])
        writer.add_token_types(description["types"])
        if description["scores"]:
            writer.add_token_scores(description["scores"])
        if description["merges"]:
            writer.add_token_merges(description["merges"])
        writer.add_bos_token_id(description["bos"])
        writer.add_eos_token_id(description["eos"])
        if "unk" in description:
            writer.add_unk_token_id(description["unk"])
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.close()
        parameters = llama_cpp.llama_model_default_params()
        parameters.vocab_only = True
        self.model = llama_cpp.llama_model_load_from_file(path.encode(), parameters)
        self.vocabulary = llama_cpp.llama_model_get_vocab(self.model)

    def ids(self, text, parses_specials):
        data = text.encode()
        capacity = 2 * len(data) + 16
        ids = (llama_cpp.llama_token * capacity)()
        count = llama_cpp.llama_tokenize(self.vocabulary, data, len(data), ids, capacity, False, parses_specials)
        assert count >= 0, text
        return ids[:count]

    def piece(self, token):
        buffer = ctypes.create_string_buffer(1024)
        count = llama_cpp.llama_token_to_piece(self.vocabulary, token, buffer, 1024, 0, True)
        return buffer.raw[:count]


def expected(description, pre_tokenizers):
    """What llama.cpp makes of the texts, and what the tokens are in a text (in hexadecimal)."""
    vectors = []
    for pre in pre_tokenizers:
        vocabulary = LlamaVocabulary(description, pre)
        ids = [vocabulary.ids(text, False) for text in TEXTS]
        special = [vocabulary.ids(text, True) for text in TEXTS]
        # Where special tokens make a difference.
        special = {str(index): found for index, found in enumerate(special) if found != ids[index]}
        vectors.append({"pre": pre, "ids": ids, "special_ids": special})
    pieces = [vocabulary.piece(token).hex() for token in range(len(description["tokens"]))]
    return {"description": description, "vectors": vectors, "pieces": pieces}


def main():
    quiet = llama_cpp.llama_log_callback(lambda *_: None)
    llama_cpp.llama_log_set(quiet, None)
    llama_cpp.llama_backend_init()
    description, reference = xverse()
    encoded = [reference.encode(text, add_special_tokens=False).ids for text in TEXTS]
    result = {
        "texts": TEXTS,
        "gpt2": expected(gpt2_description(), PRE_TOKENIZERS),
        "llama": expected(llama_description(), ["default"]),
        "xverse": {"description": description, "encoded": encoded},
    }
    with open(OUTPUT, "w", encoding="utf-8") as file:
        json.dump(result, file, ensure_ascii=False, separators=(",", ":"))
        file.write("\n")


if __name__ == "__main__":
    main()
