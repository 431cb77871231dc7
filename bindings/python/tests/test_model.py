"""Models, tokenizers, options and the library itself."""

from __future__ import annotations

import inspect
import os
import re
import shutil
import sys
from pathlib import Path

import pytest
from test_errors import files_of

import xverse
from xverse import errors, options
from xverse.sampling import SamplingOptions

ROOT = Path(__file__).resolve().parents[3]


class TestModel:
    def test_knows_its_shape(self, model):
        info = model.info
        assert (info.n_layers, info.n_embd, info.n_ff, info.n_heads, info.n_vocab) == (6, 256, 576, 4, 2354)
        assert (info.arch, info.quant, info.name) == ("xverse", "bf16", "demo-model")
        assert info.n_params == 5435648
        assert repr(model).startswith("<Model demo-model")

    def test_opens_a_path_of_any_kind_and_bytes(self, path, tmp_path):
        odd = os.fsencode(tmp_path) + b"/caf\xe9"
        os.symlink(path, odd)
        for name in (Path(path), os.fsencode(path), odd, os.fsdecode(odd)):
            assert xverse.Model(name, vocab_only=True).info.n_vocab == 2354

    def test_shares_the_runtime_unless_told_otherwise(self, path, model):
        assert xverse.Model(path, vocab_only=True).runtime is model.runtime is xverse.default_runtime()
        own = xverse.Model(path, vocab_only=True, threads=1)
        assert own.runtime is not model.runtime
        with pytest.raises(ValueError, match="threads"):
            xverse.Model(path, runtime=own.runtime, threads=2)

    def test_a_source_gives_the_same_model(self, path, model):
        from_memory = xverse.Model.from_source(files_of(path))
        expected = model.generate("Once", temperature=0, max_new_tokens=5)
        assert from_memory.generate("Once", temperature=0, max_new_tokens=5).tokens == expected.tokens

    def test_an_exception_of_a_source_is_raised(self, path):
        class Broken(xverse.source.MappedFiles):
            def read_at(self, name, offset, size):
                if name == "model.safetensors":
                    raise KeyError("the archive is locked")
                return super().read_at(name, offset, size)

        with pytest.raises(KeyError, match="the archive is locked"):
            xverse.Model.from_source(Broken(files_of(path)))

    def test_progress_is_told_and_can_stop(self, path):
        told = []
        xverse.Model(path, quantize="int8", progress=lambda *figures: told.append(figures))
        phases = {phase for phase, _, _ in told}
        assert "quantize" in phases
        assert all(done <= total for _, done, total in told)
        with pytest.raises(errors.CancelledError, match="progress"):
            xverse.Model(path, quantize="int8", progress=lambda *figures: True)
        with pytest.raises(ZeroDivisionError):
            xverse.Model(path, quantize="int8", progress=lambda *figures: 1 / 0)

    def test_inspects_estimates_and_converts(self, path, tmp_path):
        assert xverse.inspect(path)["n_params"] == 5435648
        estimate = xverse.estimate(path, session={"context": 256})
        assert estimate.total == (
            estimate.weights_resident + estimate.weights_mapped + estimate.kv_total + estimate.scratch
        )
        assert estimate.kv_total < xverse.estimate(path).kv_total
        told = []
        xverse.convert(path, tmp_path / "int4", quantize="int4", progress=lambda *figures: told.append(figures[0]))
        assert "write" in told
        assert xverse.Model(tmp_path / "int4").info.quant.startswith("int4")
        with pytest.raises(errors.MisuseError):
            xverse.convert(path, tmp_path / "int4")

    def test_perplexity(self, model):
        text = "Once upon a time there was a little cat. " * 3
        found = model.perplexity(text)
        session = model.session()
        logprobs = session.score(model.tokenizer.encode(text))[1:]
        import math

        assert found.value == pytest.approx(math.exp(-sum(logprobs) / len(logprobs)), rel=1e-4)
        assert found.standard_error > 0
        with pytest.raises(errors.RangeError):
            model.perplexity("")

    def test_answers_many_in_order(self, model):
        prompts = ["Once upon a time", "How many legs", "The"] * 4
        found = list(model.generate_many(prompts, temperature=0, max_new_tokens=6, scheduler={"max_num_seqs": 4}))
        assert [r.text for r in found] == [model.generate(p, temperature=0, max_new_tokens=6).text for p in prompts]

    def test_answers_more_than_a_scheduler_holds(self, model):
        few = {"max_num_seqs": 2, "max_queued_requests": 1}
        assert len(list(model.generate_many(["Once"] * 20, max_new_tokens=2, scheduler=few))) == 20
        assert len(list(model.generate_many(["Once"] * 3, max_new_tokens=2, n=2, seed=1, scheduler=few))) == 6
        with pytest.raises(errors.QueueFullError):
            list(model.generate_many(["Once"], max_new_tokens=2, n=9, scheduler=few))


class TestTokenizer:
    def test_goes_there_and_back(self, model):
        for text in ("Once upon a time", "今天天气很好，", "🚀 emoji", "a\0b", ""):
            assert model.tokenizer.decode(model.tokenizer.encode(text)) == text

    def test_special_tokens_only_when_asked(self, model):
        tokenizer = model.tokenizer
        assert tokenizer.encode("<|endoftext|>", special=True) == [tokenizer.eos] == [3]
        assert tokenizer.eos not in tokenizer.encode("<|endoftext|>")
        assert tokenizer.encode("a", bos=True)[0] == tokenizer.bos
        assert tokenizer.decode([3, 3], skip_special=True) == ""
        assert tokenizer.is_special(3)
        assert not tokenizer.is_special(500)
        assert tokenizer.token_bytes(3) == b"<|endoftext|>"

    def test_detokenizer_never_splits_a_character(self, model):
        text = "，今天🚀"
        detokenizer = model.tokenizer.detokenizer()
        pieces = [detokenizer.push(token) for token in model.tokenizer.encode(text)]
        assert "".join(pieces) + detokenizer.flush() == text
        assert "\ufffd" not in "".join(pieces)

    def test_opens_without_a_model(self, path, model):
        alone = xverse.Tokenizer(path)
        assert alone.encode("Once upon a time") == model.tokenizer.encode("Once upon a time")
        assert len(alone) == 2354

    def test_takes_arrays(self, model):
        numpy = pytest.importorskip("numpy")
        ids = model.tokenizer.encode("Once upon a time")
        assert model.tokenizer.decode(numpy.array(ids)) == "Once upon a time"
        with pytest.raises(TypeError, match="sequence of token ids"):
            model.tokenizer.decode(["a"])
        with pytest.raises(ValueError, match="2\\^31"):
            model.tokenizer.decode([1 << 40])


class TestOptions:
    @pytest.mark.parametrize(
        ("kind", "keys"),
        [
            ("runtime", options.RuntimeOptions),
            ("model", options.ModelOptions),
            ("session", options.SessionOptions),
            ("sampling", SamplingOptions),
            ("scheduler", options.SchedulerOptions),
            ("convert", options.ConvertOptions),
            ("score", options.ScoreOptions),
        ],
    )
    def test_have_the_keys_of_the_library(self, kind, keys):
        assert list(keys.__annotations__) == [info.key for info in xverse.describe_options(kind)]

    def test_the_dataclass_has_them_too(self):
        assert list(inspect.signature(xverse.Sampling).parameters) == list(SamplingOptions.__annotations__)

    def test_are_described(self):
        found = {info.key: info for info in xverse.describe_options("model")}
        assert found["load"].choices == ("mmap", "read")
        assert found["load"].default == "mmap"
        assert found["prefix_cache"].unit == "bytes"
        assert found["rope_theta"].default is None
        with pytest.raises(ValueError, match="'models'"):
            xverse.describe_options("models")

    def test_take_values_of_python(self, session):
        numpy = pytest.importorskip("numpy")
        text = session.generate("Once", temperature=numpy.float32(0), max_new_tokens=numpy.int64(3)).text
        banned = session.model.tokenizer.encode("Once" + text)[1]
        other = session.generate(
            "Once", sampling=xverse.Sampling(temperature=0, logit_bias={banned: -float("inf")}), max_new_tokens=3
        )
        assert banned not in other.tokens
        with pytest.raises(ValueError, match="64 bits"):
            session.generate("Once", seed=1 << 70)


class TestRuntime:
    def test_logs_to_a_function(self, path):
        runtime = xverse.Runtime(threads=1)
        told = []
        runtime.set_log(lambda level, message: told.append((level, message)), "debug")
        model = xverse.Model(path, runtime=runtime)
        model.generate("Once", max_new_tokens=1)
        assert told
        assert {level for level, _ in told} <= {"error", "warn", "info", "debug"}
        count = len(told)
        runtime.set_log(None)
        xverse.Model(path, runtime=runtime)
        assert len(told) == count
        current, peak = runtime.memory
        assert 0 < current <= peak

    def test_threads_are_the_librarys_own_by_default(self, run_program):
        text = (
            "import sys, xverse; xverse.Model(sys.argv[1]).generate('Once', max_new_tokens=2)\n"
            "print('libomp' in open('/proc/self/maps').read())"
        )
        assert run_program(text, XVERSE_THREADING="").stdout == "False\n"


class TestLibrary:
    def test_has_the_version_of_the_package(self):
        project = (ROOT / "bindings/python/pyproject.toml").read_text(encoding="utf-8")
        assert re.search(r'^version = "(.*)"$', project, re.MULTILINE)[1] == xverse.version()
        assert xverse.build_info()["version"] == xverse.version()

    def test_importing_needs_none_and_using_says_where_it_looked(self, run_program):
        text = "import xverse\nprint('imported')\nxverse.version()"
        done = run_program(text, XVERSE_LIBRARY="/nowhere/libxverse.so.1")
        assert done.stdout == "imported\n"
        assert "ImportError: libxverse cannot be loaded: /nowhere/libxverse.so.1" in done.stderr
        assert "XVERSE_LIBRARY" in done.stderr

    def test_one_in_the_package_comes_before_that_of_the_system(self, run_program, tmp_path):
        package = tmp_path / "copy" / "xverse"
        shutil.copytree(Path(xverse.__file__).parent, package, ignore=shutil.ignore_patterns("_lib", "__pycache__"))
        (package / "_lib").mkdir()
        xverse.version()  # it is loaded now
        with open("/proc/self/maps", encoding="utf-8") as file:
            loaded = next(line.split()[-1] for line in file if "libxverse" in line)
        shutil.copy(loaded, package / "_lib" / "libxverse.so.1")
        text = "import sys; sys.path.insert(0, sys.argv[2]); import xverse; xverse.version()\n"
        text += "print({line.split()[-1] for line in open('/proc/self/maps') if 'libxverse' in line})"
        done = run_program(text, str(package.parent), XVERSE_LIBRARY="")
        assert done.stdout == f"{{{str(package / '_lib' / 'libxverse.so.1')!r}}}\n", done.stderr

    def test_another_library_is_refused(self, run_program):
        other = "libm.so.6" if sys.platform == "linux" else "libm.dylib"
        done = run_program("import xverse; xverse.version()", XVERSE_LIBRARY=other)
        assert "ImportError" in done.stderr
        assert "xverse_version" in done.stderr

    def test_declarations_are_those_of_the_header(self):
        import subprocess

        script = ROOT / "scripts/generate_python_ffi.py"
        done = subprocess.run([sys.executable, str(script), "--check"], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    def test_every_function_is_used(self):
        """What the header declares, the package can do."""
        from xverse import _ffi

        package = Path(xverse.__file__).parent
        text = "".join(f.read_text(encoding="utf-8") for f in package.rglob("*.py") if f.name != "_ffi.py")
        unused = [name for name in _ffi.FUNCTIONS if not re.search(rf"\b{name}\b", text)]
        # Variants of others: options are set one by one, loading is the general call, references are counted by Python.
        assert unused == [
            "xverse_version_number",
            "xverse_status_name",
            "xverse_options_set_json",
            "xverse_model_open",
            "xverse_model_retain",
        ]
