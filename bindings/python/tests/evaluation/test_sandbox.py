"""run_program: what programs may not do counts as failed, and leaves nothing behind."""

import os

import pytest

from xverse.evaluation.sandbox import run_program


@pytest.mark.parametrize(
    "program",
    [
        "x = 1",
        "import time\ntime.sleep(0.1)",
        "import collections, datetime, hashlib, heapq, itertools, json, math, random, re, string, typing",
        "open(__import__('os').__file__).read()",
        "print('x' * 10_000_000)",
    ],
)
def test_passes(program):
    assert run_program(program).result == "passed"


@pytest.mark.parametrize(
    "program, detail",
    [
        ("assert False", "AssertionError"),
        ("def f(:", "SyntaxError"),
        ("import sys\nsys.exit(0)", "ended early"),
        ("import os\nos._exit(0)", "ended early"),
        ("raise SystemExit", "ended early"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("x = [0] * 10**10", "MemoryError"),
        ("def f():\n    f()\nf()", "RecursionError"),
        ("import os\nos.fork()", "PermissionError"),
        ("import threading\nthreading.Thread(target=print).start()", "start new thread"),
        ("import subprocess\nsubprocess.run(['true'])", "PermissionError"),
        ("import os\nos.execv('/bin/true', ['true'])", "PermissionError"),
        ("import os\nos.kill(os.getppid(), 9)", "PermissionError"),
        ("import socket\nsocket.socket()", "PermissionError"),
        ("import socket\nsocket.create_connection(('127.0.0.1', 9))", "PermissionError"),
        ("import resource\nresource.setrlimit(resource.RLIMIT_CPU, (9, 9))", "Error"),
        ("import ctypes\nctypes.string_at(0)", "ended by signal"),
    ],
)
def test_fails(program, detail):
    outcome = run_program(program)
    assert outcome.result == "failed"
    assert detail in outcome.detail


@pytest.mark.parametrize(
    "program",
    [
        "while True:\n    pass",
        "import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True:\n    pass",
    ],
)
def test_times_out(program):
    assert run_program(program, timeout=1).result == "timed out"


@pytest.mark.parametrize(
    "program",
    [
        "open({path!r}, 'w').write('x')",
        "open({path!r}, 'a')",
        "import os\nos.mkdir({path!r})",
        "import os\nos.open({path!r}, os.O_CREAT | os.O_RDONLY)",
        "import os\nos.unlink({kept!r})",
        "import os\nos.rename({kept!r}, {path!r})",
        "import os\nos.truncate({kept!r}, 0)",
        "import os\nos.chmod({kept!r}, 0)",
        "import os\nos.symlink({kept!r}, {path!r})",
        "import shutil\nshutil.rmtree({folder!r})",
    ],
)
def test_leaves_files_alone(tmp_path, program):
    kept = tmp_path / "kept"
    kept.write_text("as before", encoding="utf-8")
    text = program.format(path=str(tmp_path / "new"), kept=str(kept), folder=str(tmp_path))
    assert run_program(text).result == "failed"
    assert os.listdir(tmp_path) == ["kept"]
    assert kept.read_text(encoding="utf-8") == "as before"
    assert kept.stat().st_mode & 0o777


def test_a_report_cannot_be_guessed():
    forged = "import os\nfor n in range(3, 20):\n    try:\n        os.write(n, b'passed')\n    except OSError:\n        pass\n"
    assert run_program(forged + "os._exit(0)").result == "failed"
