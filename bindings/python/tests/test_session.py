"""Sessions, streams and samplers."""

from __future__ import annotations

import gc
import sys

import pytest

import xverse
from xverse import Sampler, Sampling, Session

QUESTION = [("user", "How many legs does a spider have?")]
ANSWER = "A spider has eight legs."


class TestGenerate:
    def test_answers_a_conversation(self, session):
        result = session.generate(QUESTION, temperature=0)
        assert result.text == str(result) == ANSWER
        assert result.finish_reason == "eos"
        assert result.tokens[-1] == session.model.tokenizer.eos
        assert result.stats.n_generated == len(result.tokens)
        assert session.stats.n_prompt == result.stats.n_prompt

    def test_prompts_of_every_kind_agree(self, session, model):
        expected = session.generate("Once upon a time", temperature=0, max_new_tokens=5).tokens
        ids = model.tokenizer.encode("Once upon a time")
        for prompt in (ids, tuple(ids), ["Once upon", *ids[len(model.tokenizer.encode("Once upon")) :]]):
            assert session.generate(prompt, temperature=0, max_new_tokens=5).tokens == expected
        dicts = [{"role": role, "content": text} for role, text in QUESTION]
        assert session.generate(dicts, temperature=0).text == ANSWER
        assert model.prompt_tokens(dicts) == model.prompt_tokens(QUESTION)

    @pytest.mark.parametrize("prompt", [None, 5, {"role": "user"}, [("user",)], [{"role": "user"}], [("user", None)]])
    def test_a_prompt_of_no_kind_is_a_type_error(self, session, prompt):
        with pytest.raises(TypeError, match="expected"):
            session.generate(prompt)

    def test_text_arrives_piece_by_piece_and_true_stops(self, session):
        pieces = []
        assert session.generate(QUESTION, pieces.append, temperature=0).text == "".join(pieces)
        assert len(pieces) > 2
        stopped = session.generate(QUESTION, lambda piece: True, temperature=0)
        assert stopped.finish_reason == "callback"
        assert ANSWER.startswith(stopped.text)
        assert stopped.text != ANSWER

    def test_options_of_both_kinds(self, session):
        sampling = Sampling(temperature=0, max_new_tokens=50, stop="eight")
        assert session.generate(QUESTION, sampling=sampling).text == "A spider has "
        assert session.generate(QUESTION, sampling=sampling, stop=["spider"]).text == "A "
        assert session.generate(QUESTION, sampling=sampling, stop="spider").finish_reason == "stop"

    def test_logprobs_are_those_of_score(self, session, model):
        result = session.generate("Once upon a time", temperature=0, max_new_tokens=5, logprobs=True)
        session.truncate(0)
        scored = session.score(model.tokenizer.encode("Once upon a time") + result.tokens)
        assert result.logprobs == pytest.approx(scored[-5:], abs=1e-4)
        assert session.generate("Once", max_new_tokens=1).logprobs is None

    def test_guessing_changes_nothing(self, session, model, path):
        text = model.tokenizer.encode(" one two three") * 6
        expected = session.generate(text, temperature=0, max_new_tokens=30)
        guessed = model.session().generate(text, temperature=0, max_new_tokens=30, prompt_lookup_num_tokens=8)
        assert guessed.tokens == expected.tokens
        assert guessed.stats.n_draft > 0
        with_draft = model.session()
        with_draft.set_draft(xverse.Model(path, quantize="int4"))
        drafted = with_draft.generate(text, temperature=0, max_new_tokens=30)
        assert drafted.tokens == expected.tokens
        assert drafted.stats.n_draft > 0
        with_draft.set_draft(None)
        assert with_draft.generate(text, temperature=0, max_new_tokens=3).stats.n_draft == 0


class TestStream:
    def test_joins_to_the_answer(self, session):
        stream = session.chat(QUESTION, temperature=0)
        assert stream.result is None
        assert "".join(stream) == ANSWER
        assert stream.result.text == ANSWER
        assert list(stream) == []

    def test_leaving_stops_the_answer_and_frees_the_session(self, session):
        for _ in session.stream("Once", ignore_eos=True, max_new_tokens=400):
            break
        length = len(session)
        assert length < 400
        assert session.generate(QUESTION, temperature=0).text == ANSWER
        with session.stream("Once", ignore_eos=True, max_new_tokens=400) as stream:
            next(stream)
        assert stream.result is None
        assert session.generate(QUESTION, temperature=0).text == ANSWER

    def test_errors_of_the_options_come_at_once(self, session):
        with pytest.raises(xverse.errors.RangeError):
            session.stream("Once", top_p=7)

    def test_openai_requests(self, session):
        request = {"messages": [{"role": "user", "content": QUESTION[0][1]}], "temperature": 0}
        response = session.generate_json(request)
        assert response["choices"][0]["message"]["content"] == ANSWER
        chunks = list(session.stream_json(request))
        assert "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks) == ANSWER
        assert session.generate_json('{"prompt": "Once", "max_tokens": 2}')["object"] == "text_completion"
        for _ in session.stream_json(dict(request, max_tokens=300)):
            break
        assert session.generate(QUESTION, temperature=0).text == ANSWER


class TestEvaluation:
    def test_a_loop_of_its_own_gives_the_same_tokens(self, session, model):
        expected = model.generate("Once upon a time", temperature=0.8, seed=7, max_new_tokens=8).tokens
        sampler = Sampler(model, temperature=0.8, seed=7)
        prompt = model.tokenizer.encode("Once upon a time")
        for token in prompt:
            sampler.accept(token)
        session.eval(prompt)
        found = []
        for _ in range(8):
            found.append(sampler.sample(session))
            sampler.accept(found[-1])
            session.eval(found[-1:])
        assert found == expected
        assert session.tokens == prompt + expected

    def test_logits_are_not_copied(self, session, model):
        numpy = pytest.importorskip("numpy")
        session.eval(model.tokenizer.encode("Once upon a"))
        logits = session.logits()
        assert (logits.dtype, logits.shape, logits.flags.writeable) == (numpy.float32, (2354,), False)
        assert not logits.flags.owndata
        assert session.logits().ctypes.data == logits.ctypes.data
        token, logprob = session.top_logprobs(1)[0]
        assert token == logits.argmax()
        exact = logits.astype(numpy.float64)
        assert logprob == pytest.approx(exact[token] - numpy.log(numpy.exp(exact).sum()), abs=1e-5)
        # A view keeps the memory alive, whatever becomes of the session.
        before = logits.copy()
        session.close()
        gc.collect()
        assert (logits == before).all()

    def test_without_numpy_logits_are_a_memoryview(self, session, monkeypatch):
        monkeypatch.setitem(sys.modules, "numpy", None)
        session.eval([5, 6])
        logits = session.logits()
        assert isinstance(logits, memoryview)
        assert (logits.format, logits.shape, logits.readonly) == ("f", (2354,), True)
        assert max(range(2354), key=logits.__getitem__) == session.top_logprobs(1)[0][0]
        sampler = Sampler(session.model, temperature=0)
        assert sampler.sample(logits) == sampler.sample(session) == session.top_logprobs(1)[0][0]
        vector = session.embed([7])
        assert isinstance(vector, memoryview)
        assert len(vector) == 256

    def test_a_batch_gives_the_same_bits(self, model):
        numpy = pytest.importorskip("numpy")
        prompts = [model.tokenizer.encode(text) for text in ("Once upon a time", "How many legs", "The")]
        sessions = [model.session() for _ in prompts]
        Session.eval_batch(sessions, prompts)
        for session, prompt in zip(sessions, prompts):
            alone = model.session()
            alone.eval(prompt)
            assert numpy.array_equal(session.logits(), alone.logits())
        with pytest.raises(ValueError, match="3 sessions and 2"):
            Session.eval_batch(sessions, prompts[:2])
        with pytest.raises(xverse.errors.InvalidError):
            Session.eval_batch([sessions[0]] * 2, prompts[:2])

    def test_embeds(self, session, model):
        ids = model.tokenizer.encode("Once upon a time")
        last = session.embed(ids, pooling="last", normalize=True)
        assert sum(x * x for x in last) == pytest.approx(1, abs=1e-4)
        session.truncate(0)
        assert list(session.embed(ids)) != list(last)
        with pytest.raises(ValueError, match="'middle'"):
            session.embed(ids, pooling="middle")

    def test_progress_of_a_prefill(self, session):
        told = []
        session.eval([5] * 300, progress=lambda *figures: told.append(figures))
        assert told[-1] == ("prefill", 300, 300)
        with pytest.raises(ZeroDivisionError):
            session.eval([5] * 100, progress=lambda *_: 1 / 0)
        session.truncate(0)
        session.eval([5])

    def test_logits_function_sees_and_changes(self, session, model):
        session.eval(model.tokenizer.encode("Once upon a"))
        sampler = Sampler(model, temperature=0)
        best = sampler.sample(session)
        kept = []

        def forbid(logits):
            kept.append(logits)
            logits[best] = -1e30

        sampler.set_callback(forbid)
        assert sampler.sample(session) == session.top_logprobs(2)[1][0]
        assert sampler.clone().sample(session) != best
        assert kept[0][best] == pytest.approx(-1e30)  # what was kept is the function's own
        sampler.set_callback(None)
        assert sampler.sample_logprob(session) == pytest.approx(session.top_logprobs(1)[0], abs=1e-4)
        sampler.set_callback(lambda logits: True)
        with pytest.raises(xverse.errors.CancelledError):
            sampler.sample(session)


class TestSequence:
    def test_fork_save_restore_and_note(self, session, model, tmp_path):
        assert (len(session), bool(session), session.note) == (0, True, b"")
        session.eval(model.tokenizer.encode("Once upon a"))
        session.note = b'{"messages": []}\0'
        copy = session.fork()
        copy.eval([17])
        assert len(copy) == len(session) + 1
        assert copy.note == session.note == b'{"messages": []}\0'
        session.save(tmp_path / "saved")
        other = model.session()
        other.restore(tmp_path / "saved")
        assert other.tokens == session.tokens
        assert other.note == session.note
        assert list(other.logits()) == list(session.logits())
        session.truncate(1)
        assert len(session) == 1
        with pytest.raises(xverse.errors.MisuseError):
            session.logits()
        with pytest.raises(xverse.errors.RangeError):
            session.truncate(5)

    def test_lives_on_when_the_model_was_closed(self, path):
        model = xverse.Model(path)
        session = model.session()
        model.close()
        assert session.generate(QUESTION, temperature=0).text == ANSWER
        assert session.fork().generate(QUESTION, temperature=0).text == ANSWER
        with pytest.raises(xverse.errors.MisuseError, match="Model is closed"):
            model.generate("Once")

    def test_context_can_shift(self, model):
        session = model.session(context=32, overflow="shift")
        session.eval([5] * 20)
        session.eval([6] * 20)
        assert len(session) <= 32
