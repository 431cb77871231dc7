"""A folder with small benchmarks."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from evaluation_data import WRITERS


@pytest.fixture
def data(tmp_path) -> Path:
    """A folder with a small benchmark of each kind."""
    folder = tmp_path / "data"
    for name, write in WRITERS.items():
        (folder / name).mkdir(parents=True)
        write(folder / name)
    return folder
