"""Every error status is an exception of its own, and what Python programs catch."""

from __future__ import annotations

import copy
import pickle
import queue
import shutil
import threading
import zipfile

import pytest

import xverse
from xverse import _ffi, errors

BUILTINS = {
    "E_FAIL": RuntimeError,
    "E_NOMEM": MemoryError,
    "E_INVALID": ValueError,
    "E_MISUSE": RuntimeError,
    "E_BUSY": RuntimeError,
    "E_CANCELLED": RuntimeError,
    "E_DEADLINE": TimeoutError,
    "E_IO": OSError,
    "E_NOTFOUND": FileNotFoundError,
    "E_CORRUPT": ValueError,
    "E_UNSUPPORTED": NotImplementedError,
    "E_UNSAFE": ValueError,
    "E_RANGE": ValueError,
    "E_CONTEXT_FULL": ValueError,
    "E_QUEUE_FULL": queue.Full,
    "E_PARSE": ValueError,
    "E_MISMATCH": ValueError,
    "E_FORKED": RuntimeError,
    "E_LIMIT": ValueError,
    "E_CALLBACK": RuntimeError,
    "E_COMM": ConnectionError,
    "E_INTERNAL": RuntimeError,
}


def test_the_table_has_every_status_of_the_header():
    assert set(BUILTINS) == {name for name in vars(_ffi) if name.startswith("E_")}


@pytest.mark.parametrize(("name", "builtin"), BUILTINS.items())
def test_a_status_is_a_class_of_its_own(name, builtin):
    status = getattr(_ffi, name)
    kind = errors.CLASSES[status]
    assert issubclass(kind, xverse.XverseError)
    assert issubclass(kind, builtin)
    assert kind.status == status
    assert kind.name == "XVERSE_" + name == xverse._library.lib.xverse_status_name(status).decode()
    assert kind.__name__ in errors.__all__
    error = errors.error(status, "a sentence", offset=3)
    assert (type(error), str(error), error.offset) == (kind, "a sentence", 3)
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.offset) == (kind, "a sentence", 3)
    assert len({kind.status for kind in errors.CLASSES.values()}) == len(BUILTINS)


def test_a_status_from_a_newer_library_is_an_error_too():
    assert str(errors.error(-50, "a sentence")) == "a sentence (status -50)"


class TestTheLibraryRaises:
    def test_not_found(self, tmp_path):
        with pytest.raises(errors.NotFoundError, match="missing") as caught:
            xverse.Model(tmp_path / "missing")
        assert caught.value.errno == 2

    def test_corrupt_with_its_offset(self, path, tmp_path):
        shutil.copytree(path, tmp_path / "m", ignore=shutil.ignore_patterns("recipe"))
        (tmp_path / "m" / "config.json").write_text('{"vocab_size": }')
        with pytest.raises(errors.CorruptError, match=r"config\.json") as caught:
            xverse.Model(tmp_path / "m")
        assert caught.value.offset == 15

    def test_file_error(self, tmp_path):
        (tmp_path / "loop").symlink_to(tmp_path / "loop")
        with pytest.raises(errors.FileError, match="loop"):
            xverse.Model(tmp_path / "loop")

    def test_unsafe(self, path, tmp_path):
        shutil.copytree(path, tmp_path / "m", ignore=shutil.ignore_patterns("recipe", "model.safetensors"))
        with zipfile.ZipFile(tmp_path / "m" / "pytorch_model.bin", "w") as archive:
            archive.writestr("archive/data.pkl", b"cos\nsystem\n(S'true'\ntR.")
            archive.writestr("archive/version", b"3\n")
        with pytest.raises(errors.UnsafeError, match="system"):
            xverse.Model(tmp_path / "m")

    def test_invalid(self, session):
        with pytest.raises(errors.InvalidError, match="did you mean 'temperature'"):
            session.generate("Hi", temprature=1)
        with pytest.raises(errors.InvalidError, match="role"):
            session.generate([("nobody", "Hi")])

    def test_range(self, session, model):
        with pytest.raises(errors.RangeError, match="top_p"):
            session.generate("Hi", top_p=2)
        with pytest.raises(errors.RangeError, match="99999"):
            session.eval([99999])
        assert len(session) == 0
        with pytest.raises(errors.RangeError):
            model.tokenizer.decode([-1])

    def test_unsupported(self, path):
        with pytest.raises(errors.UnsupportedError):
            xverse.Model(path, isa="neon" if "neon" not in xverse.build_info()["kernels"] else "avx2")

    def test_out_of_memory(self, path):
        with pytest.raises(errors.OutOfMemoryError, match="memory_limit"):
            xverse.Model(path, load="read", memory_limit=1 << 20)

    def test_context_full(self, model):
        with model.session(context=8) as session, pytest.raises(errors.ContextFullError, match="8"):
            session.eval([5] * 9)

    def test_queue_full(self, model):
        with model.scheduler(max_num_seqs=1, max_queued_requests=0) as scheduler:
            scheduler.submit("Once", ignore_eos=True, max_new_tokens=300)
            with pytest.raises(errors.QueueFullError):
                scheduler.submit("Once")

    def test_parse_with_its_offset_and_the_object_of_openai(self, session):
        with pytest.raises(errors.ParseError) as caught:
            session.generate_json('{"messages": nothing}')
        assert caught.value.offset == 13
        assert caught.value.response["error"]["type"] == "invalid_request_error"
        with pytest.raises(errors.UnsupportedError) as caught:
            session.generate_json({"messages": [{"role": "user", "content": "Hi"}], "tools": [{}]})
        assert caught.value.response["error"]["param"] == "tools"

    def test_mismatch(self, model, path, tmp_path, session):
        session.eval([5, 6])
        session.save(tmp_path / "saved")
        with model.session(kv_type="int8") as other, pytest.raises(errors.MismatchError, match="kv_type"):
            other.restore(tmp_path / "saved")

    def test_limit(self, session):
        session.note = b"short"
        with pytest.raises(errors.LimitError):
            session.note = bytes((64 << 20) + 1)
        assert session.note == b"short"

    def test_callback(self, path):
        class TooMuch(xverse.source.MappedFiles):
            def read_at(self, name, offset, size):
                return bytes(super().read_at(name, offset, size)) + bytes(size)

        with pytest.raises(errors.CallbackError, match="config.json"):
            xverse.Model.from_source(TooMuch(files_of(path)))

    def test_fail(self, model):
        sampler = xverse.Sampler(model)
        with pytest.raises(errors.FailError):
            sampler.sample([float("nan")] * model.info.n_vocab)

    def test_cancelled_and_deadline(self, session):
        cancel = xverse.Cancel()
        cancel.trigger()
        with pytest.raises(errors.CancelledError):
            session.generate("Once", cancel=cancel)
        cancel.reset(deadline_ms=1)
        with pytest.raises(errors.DeadlineError):
            session.generate("Once", cancel=cancel, ignore_eos=True, max_new_tokens=500)
        cancel.reset()
        assert session.generate("Once", cancel=cancel, max_new_tokens=2).text

    def test_busy(self, session):
        stream = session.stream("Once", ignore_eos=True, max_new_tokens=500)
        next(stream)
        with pytest.raises(errors.BusyError):
            session.truncate(0)
        stream.close()
        session.truncate(0)

    def test_misuse_of_what_is_closed(self, path):
        model = xverse.Model(path, vocab_only=True)
        with pytest.raises(errors.MisuseError, match="vocab_only"):
            model.session()
        model.close()
        model.close()
        assert model.closed
        with pytest.raises(errors.MisuseError, match="this Model is closed"):
            model.session()


def files_of(path):
    names = ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors")
    found = {}
    for name in names:
        with open(f"{path}/{name}", "rb") as file:
            found[name] = file.read()
    return found


def test_errors_are_those_of_their_thread(session):
    """xverse_last_error is the thread's own, also when another one fails in between."""
    found = []

    def fail(token):
        for _ in range(200):
            try:
                session.model.tokenizer.decode([token])
            except errors.RangeError as error:
                found.append(str(token) in str(error))

    threads = [threading.Thread(target=fail, args=(token,)) for token in (70001, 80002, 90003)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 600


def test_pickling_and_copying_say_what_to_do(model, session):
    for thing in (model, session, model.tokenizer, model.scheduler(), xverse.Sampler(model), model.runtime):
        with pytest.raises(TypeError, match=f"a {type(thing).__name__} cannot be pickled"):
            pickle.dumps(thing)
        with pytest.raises(TypeError, match="cannot be pickled or copied"):
            copy.copy(thing)


def test_results_can_be_pickled(session):
    result = session.generate("Once", temperature=0, max_new_tokens=3, logprobs=True)
    assert pickle.loads(pickle.dumps(result)) == result
    sampling = xverse.Sampling(temperature=0.5, stop=["a"])
    assert pickle.loads(pickle.dumps(sampling)) == sampling
