"""What the tests share: the demonstration model of the repository, and programs in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import xverse

ROOT = Path(__file__).resolve().parents[3]
MODEL = str(Path(os.environ.get("XVERSE_TEST_MODEL", ROOT / "examples" / "demo-model")))


@pytest.fixture(scope="session")
def path() -> str:
    """The directory of the demonstration model."""
    return MODEL


@pytest.fixture(scope="session")
def model(path):
    return xverse.Model(path)


@pytest.fixture
def session(model):
    with model.session() as session:
        yield session


@pytest.fixture
def run_program(tmp_path):
    """Runs a Python program, given as a text, with the model as sys.argv[1]; returns what it did."""

    def run(text: str, *words: str, timeout: float = 60, **environment: str) -> subprocess.CompletedProcess[str]:
        program = tmp_path / "program.py"
        program.write_text(text, encoding="utf-8")
        # The package as it is imported here, installed or not.
        search = os.pathsep.join(filter(None, [str(Path(xverse.__file__).parents[1]), os.environ.get("PYTHONPATH")]))
        return subprocess.run(
            [sys.executable, str(program), MODEL, *words],
            env={**os.environ, "PYTHONPATH": search, **environment},
            capture_output=True, text=True, timeout=timeout, check=False,
        )  # fmt: skip

    return run
