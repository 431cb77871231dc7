"""The calls of XVERSE's model cards and demos, as they are written there."""

from __future__ import annotations

import importlib.util
import sys
import warnings
from types import SimpleNamespace

import pytest

import xverse
from xverse import AutoModelForCausalLM, AutoTokenizer, GenerationConfig
from xverse.transformers import hub, tensors

TEXT = "北京的景点：故宫、天坛、万里长城等。\n深圳的景点："


@pytest.fixture(scope="module")
def tokenizer(path):
    return AutoTokenizer.from_pretrained(path, truncation_side="left", padding_side="left")


@pytest.fixture(scope="module")
def causal(path):
    return AutoModelForCausalLM.from_pretrained(path, trust_remote_code=True, torch_dtype="bfloat16", device_map="auto")


@pytest.fixture
def one_warning(monkeypatch):
    monkeypatch.setattr(tensors, "_has_warned", False)


def snippet(text, path):
    """A program of a model card: only import and path are other ones."""
    for found, put in (
        ("transformers.generation.utils import", "xverse import"),
        ("transformers import", "xverse import"),
        ("xverse/XVERSE-7B-Chat", path),
        ("xverse/XVERSE-65B", path),
    ):
        text = text.replace(found, put)
    names = {}
    exec(text, names)  # noqa: S102 -- the texts below
    return names


class TestModelCards:
    def test_the_chat_of_the_7b_card_answers_with_its_history(self, path, monkeypatch):
        if importlib.util.find_spec("torch") is None:
            # All that this card takes of PyTorch is the name of a type.
            monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(bfloat16="torch.bfloat16"))
        names = snippet(
            """
import torch
from transformers import AutoTokenizer, AutoModelForCausalLM
from transformers.generation.utils import GenerationConfig
model_path = "xverse/XVERSE-7B-Chat"
tokenizer = AutoTokenizer.from_pretrained(model_path)
model = AutoModelForCausalLM.from_pretrained(model_path, trust_remote_code=True, torch_dtype=torch.bfloat16, device_map='auto')
model.generation_config = GenerationConfig.from_pretrained(model_path)
model = model.eval()
history = [{"role": "user", "content": "My name is Marlo."}]
response = model.chat(tokenizer, history)
first = response
history.append({"role": "assistant", "content": response})
history.append({"role": "user", "content": "What is my name?"})
response = model.chat(tokenizer, history)
""",
            path,
        )
        assert "Marlo" in names["first"]
        assert "Marlo" in names["response"]

    def test_the_generate_of_the_65b_card_continues_the_text(self, path, one_warning):
        pytest.importorskip("torch", reason="PyTorch is not installed: the cards import it")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            names = snippet(
                """
import torch
from transformers import AutoTokenizer, AutoModelForCausalLM
tokenizer = AutoTokenizer.from_pretrained("xverse/XVERSE-65B")
model = AutoModelForCausalLM.from_pretrained("xverse/XVERSE-65B", trust_remote_code=True, torch_dtype=torch.bfloat16, device_map='auto')
model = model.eval()
inputs = tokenizer('北京的景点：故宫、天坛、万里长城等。\\n深圳的景点：', return_tensors='pt').input_ids
inputs = inputs.cuda()
generated_ids = model.generate(inputs, max_new_tokens=64, eos_token_id=tokenizer.eos_token_id, repetition_penalty=1.1)
texts = tokenizer.batch_decode(generated_ids, skip_special_tokens=True)
""",
                path,
            )
        import torch

        assert isinstance(names["generated_ids"], torch.Tensor)
        assert names["generated_ids"].shape[0] == 1
        assert names["texts"][0].startswith(TEXT)
        assert len([w for w in caught if "CPU" in str(w.message)]) == (0 if torch.cuda.is_available() else 1)

    def test_the_generate_of_the_65b_card_with_numpy_in_place_of_torch(self, path):
        numpy = pytest.importorskip("numpy")
        names = snippet(
            """
from transformers import AutoTokenizer, AutoModelForCausalLM
tokenizer = AutoTokenizer.from_pretrained("xverse/XVERSE-65B")
model = AutoModelForCausalLM.from_pretrained("xverse/XVERSE-65B", trust_remote_code=True, device_map='auto')
model = model.eval()
inputs = tokenizer('北京的景点：故宫、天坛、万里长城等。\\n深圳的景点：', return_tensors='np').input_ids
generated_ids = model.generate(inputs, max_new_tokens=64, eos_token_id=tokenizer.eos_token_id, repetition_penalty=1.1)
texts = tokenizer.batch_decode(generated_ids, skip_special_tokens=True)
""",
            path,
        )
        assert isinstance(names["generated_ids"], numpy.ndarray)
        assert names["texts"][0].startswith(TEXT)

    @pytest.mark.parametrize(("bits", "kind"), [(8, "int8"), (4, "int4")])
    def test_quantize_and_cuda_of_the_7b_card(self, path, bits, kind, one_warning):
        model = AutoModelForCausalLM.from_pretrained(path, torch_dtype="bfloat16", trust_remote_code=True)
        with pytest.warns(UserWarning, match="CPU") as caught:
            model = model.quantize(bits).cuda().to("cuda:0")
        assert len(caught) == 1
        assert model.model.info.quant.startswith(kind)
        assert model.chat(None, [{"role": "user", "content": "Hello!"}])

    def test_batch_call_of_the_text_generation_demo(self, path, tokenizer, causal):
        pytest.importorskip("torch", reason="PyTorch is not installed: the demo imports it")

        def batch_call(texts, skip_special_tokens=True, **kwargs):
            tokenized = tokenizer(texts, padding=True, return_tensors="pt")
            inputs = {key: value.cuda() for key, value in tokenized.items() if key != "token_type_ids"}
            generate_ids = causal.generate(**inputs, **kwargs)
            output = []
            for tok, gen in zip(tokenized.input_ids, generate_ids):
                output.append(tokenizer.decode(gen[len(tok) :], skip_special_tokens=skip_special_tokens))
            return output

        options = {"max_new_tokens": 8, "do_sample": True, "top_k": 50, "top_p": 0.92, "temperature": 0.0}
        texts = batch_call(["Once upon a time", "The"], **options, eos_token_id=tokenizer.eos_token_id)
        assert texts == [batch_call([text], **options)[0] for text in ("Once upon a time", "The")]
        assert all(texts)


class TestGenerate:
    def test_agrees_with_a_session(self, path, tokenizer, causal):
        ids = tokenizer("Once upon a time")["input_ids"]
        found = causal.generate([ids], max_new_tokens=12, do_sample=False, repetition_penalty=1.1)
        expected = causal.model.generate(ids, temperature=0, max_new_tokens=12, repetition_penalty=1.1)
        assert found == [ids + expected.tokens]

    def test_pads_on_the_left_and_fills_on_the_right(self, tokenizer, causal):
        numpy = pytest.importorskip("numpy")
        texts = ["How many", "Once upon a time there was a"]
        inputs = tokenizer(texts, padding=True, return_tensors="np")
        assert inputs.input_ids[0, 0] == tokenizer.pad_token_id
        assert inputs.attention_mask[0, 0] == 0
        found = causal.generate(**inputs, max_new_tokens=8, do_sample=False)
        assert found.dtype == numpy.int64
        for row, text, padded in zip(found, texts, inputs.input_ids):
            alone = causal.generate(tokenizer(text, return_tensors="np").input_ids, max_new_tokens=8, do_sample=False)
            new = row[len(padded) :].tolist()
            expected = alone[0, len(tokenizer(text).input_ids) :].tolist()
            assert new[: len(expected)] == expected
            assert set(new[len(expected) :]) <= {tokenizer.pad_token_id}
        # Without the mask, padding at the beginning is known by its id.
        assert (causal.generate(inputs.input_ids, max_new_tokens=8, do_sample=False) == found).all()

    def test_an_unknown_option_is_named(self, tokenizer, causal):
        with pytest.raises(ValueError, match="'max_new_token'"):
            causal.generate([[5, 6]], max_new_token=3)

    def test_an_option_that_would_change_the_answer_is_refused(self, causal):
        with pytest.raises(NotImplementedError, match="num_beams is 4"):
            causal.generate([[5, 6]], num_beams=4, max_new_tokens=3)

    def test_ends_at_other_end_of_sequence_tokens(self, tokenizer, causal):
        ids = tokenizer("Once upon a time")["input_ids"]
        whole = causal.generate([ids], max_new_tokens=12, do_sample=False)[0][len(ids) :]
        end = whole[5]
        found = causal.generate([ids], max_new_tokens=12, do_sample=False, eos_token_id=[end])[0][len(ids) :]
        assert found == whole[: whole.index(end) + 1]

    def test_max_length_counts_the_prompt(self, tokenizer, causal):
        ids = tokenizer("Once upon a time")["input_ids"]
        assert len(causal.generate([ids], max_new_tokens=None, max_length=9, do_sample=False)[0]) == 9
        # So it does with padding, as in transformers.
        padded = [tokenizer.pad_token_id] * 3 + ids
        assert len(causal.generate([padded], max_new_tokens=None, max_length=9, do_sample=False)[0]) == 9
        with pytest.raises(ValueError, match="max_length is 3"):
            causal.generate([ids], max_new_tokens=None, max_length=3)

    def test_without_a_length_it_is_transformers_default(self, path, tokenizer):
        model = AutoModelForCausalLM.from_pretrained(path)
        model.generation_config = GenerationConfig()
        with pytest.warns(UserWarning, match="20 tokens in all"):
            found = model.generate([tokenizer("Once upon a time")["input_ids"]])
        assert len(found[0]) == 20

    def test_several_answers_to_each_prompt(self, tokenizer, causal):
        ids = tokenizer("Once upon a time")["input_ids"]
        found = causal.generate(
            [ids], max_new_tokens=4, do_sample=True, temperature=1.0, num_return_sequences=3, seed=1
        )
        assert len(found) == 3
        assert found == causal.generate(
            [ids], max_new_tokens=4, do_sample=True, temperature=1.0, num_return_sequences=3, seed=1
        )

    def test_a_streamer_gets_the_prompt_and_each_token(self, tokenizer, causal):
        pytest.importorskip("numpy")

        class Streamer:
            got, ended = [], False

            def put(self, value):
                self.got += value.ravel().tolist()

            def end(self):
                self.ended = True

        streamer = Streamer()
        ids = tokenizer("Once upon a time")["input_ids"]
        found = causal.generate([ids], max_new_tokens=6, do_sample=False, streamer=streamer)
        assert streamer.got == found[0]
        assert streamer.ended


class TestChat:
    def test_streams_only_what_is_new(self, tokenizer, causal):
        history = [{"role": "user", "content": "How many legs does a spider have?"}]
        greedy = GenerationConfig(max_new_tokens=30)
        pieces = list(causal.chat(tokenizer, history, stream=True, generation_config=greedy))
        assert "".join(pieces) == "A spider has eight legs."
        assert causal.chat(tokenizer, history, stream=False, generation_config=greedy) == "A spider has eight legs."

    def test_a_configuration_of_transformers_will_do(self, path):
        theirs = SimpleNamespace(
            to_dict=lambda: {"max_new_tokens": 30, "num_beams": 1, "transformers_version": "4.57.0"}
        )
        model = AutoModelForCausalLM.from_pretrained(path)
        model.generation_config = theirs
        assert model.chat(None, [{"role": "user", "content": "How many legs does a spider have?"}]) == (
            "A spider has eight legs."
        )

    def test_the_configuration_replaces_that_of_the_files(self, path, causal):
        assert causal.generation_config == GenerationConfig.from_pretrained(path)
        assert causal.generation_config.temperature == 0.5
        short = GenerationConfig.from_pretrained(path, max_new_tokens=2)
        answer = causal.chat(None, [{"role": "user", "content": "Hello!"}], generation_config=short)
        assert len(causal.model.tokenizer.encode(answer)) <= 2


class TestTokenizer:
    def test_gives_the_ids_of_the_library(self, tokenizer, model):
        assert tokenizer(TEXT).input_ids == model.tokenizer.encode(TEXT)
        assert tokenizer("a<|endoftext|>").input_ids[-1] == tokenizer.eos_token_id
        assert tokenizer.encode(TEXT) == tokenizer(TEXT)["input_ids"]
        assert tokenizer([TEXT, "a"]).input_ids == [model.tokenizer.encode(TEXT), model.tokenizer.encode("a")]

    def test_decodes_lists_and_arrays(self, tokenizer):
        ids = tokenizer("Hello!<|endoftext|>").input_ids
        assert tokenizer.decode(ids) == "Hello!<|endoftext|>"
        assert tokenizer.decode(ids, skip_special_tokens=True) == "Hello!"
        assert tokenizer.batch_decode([ids, ids[:1]], skip_special_tokens=True)[0] == "Hello!"

    def test_truncates_on_its_side(self, path, tokenizer):
        ids = tokenizer("one two three four").input_ids
        assert tokenizer("one two three four", truncation=True, max_length=3).input_ids == ids[-3:]
        right = AutoTokenizer.from_pretrained(path, truncation_side="right")
        assert right("one two three four", truncation=True, max_length=3).input_ids == ids[:3]

    def test_a_tensor_of_different_lengths_needs_padding(self, tokenizer):
        pytest.importorskip("numpy")
        with pytest.raises(ValueError, match="padding=True"):
            tokenizer(["one", "one two three"], return_tensors="np")

    def test_the_chat_template_is_the_prompt_of_chat(self, tokenizer, model):
        messages = [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Hello!"},
            {"role": "user", "content": "Who are you?"},
        ]
        ids = tokenizer.apply_chat_template(messages, add_generation_prompt=True)
        assert ids == model.prompt_tokens(messages)
        text = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        assert text == "Human: Hi\n\nAssistant: Hello!<|endoftext|>Human: Who are you?\n\nAssistant: "
        assert tokenizer.apply_chat_template(messages, tokenize=False) == text[: -len("Assistant: ")]
        assert tokenizer.apply_chat_template(messages[:2])[-1] == tokenizer.eos_token_id

    def test_knows_its_special_tokens(self, tokenizer):
        assert (tokenizer.eos_token, tokenizer.eos_token_id) == ("<|endoftext|>", 3)
        assert (tokenizer.pad_token, tokenizer.pad_token_id) == ("<pad>", 1)
        assert len(tokenizer) == tokenizer.vocab_size == 2354


class TestFromPretrained:
    def test_a_name_that_is_not_there_says_where_it_looked(self, tmp_path):
        for kind in (AutoTokenizer, AutoModelForCausalLM, GenerationConfig):
            with pytest.raises(FileNotFoundError, match="xverse/XVERSE-7B-Chat: .*nothing is downloaded") as caught:
                kind.from_pretrained("xverse/XVERSE-7B-Chat", cache_dir=tmp_path)
            assert str(tmp_path) in str(caught.value)

    def test_finds_a_model_in_the_cache(self, path, tmp_path, monkeypatch):
        repository = tmp_path / "models--xverse--XVERSE-7B-Chat"
        (repository / "refs").mkdir(parents=True)
        (repository / "snapshots").mkdir()
        (repository / "refs" / "main").write_text("0123abcd\n")
        (repository / "snapshots" / "0123abcd").symlink_to(path)
        monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
        assert hub.resolve("xverse/XVERSE-7B-Chat", {}).endswith("snapshots/0123abcd")
        assert AutoTokenizer.from_pretrained("xverse/XVERSE-7B-Chat")("Hi").input_ids
        with pytest.raises(FileNotFoundError, match="revision v2"):
            hub.resolve("xverse/XVERSE-7B-Chat", {"revision": "v2"})

    def test_an_unknown_argument_is_named(self, path):
        with pytest.raises(TypeError, match="'quantise'"):
            AutoModelForCausalLM.from_pretrained(path, quantise="int4")

    def test_load_in_4bit_quantizes(self, path):
        assert AutoModelForCausalLM.from_pretrained(path, load_in_4bit=True).model.info.quant.startswith("int4")

    def test_quantize_leaves_the_model_when_it_cannot(self, path, tmp_path):
        xverse.convert(path, tmp_path / "int8", quantize="int8")
        model = AutoModelForCausalLM.from_pretrained(tmp_path / "int8")
        with pytest.raises(NotImplementedError, match="is int8 already"):
            model.quantize(4)
        with pytest.raises(ValueError, match="bits is 3"):
            model.quantize(3)
        assert model.chat(None, [{"role": "user", "content": "Hello!"}])
