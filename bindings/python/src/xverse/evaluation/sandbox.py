"""Runs a program that a model wrote, in a process of its own with limits on time, memory, files and network.

The limits are those of sandbox_child.py: a list of system calls that the kernel lets through, and resource limits. They stop
what a language model writes by accident. They are no wall against somebody who looks for holes: programs may read files
that the user may read.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Outcome", "run_program"]

CHILD = Path(__file__).with_name("sandbox_child.py")
# A program that sleeps uses no processor time; it may wait this many times as long.
_WAITS = 5
_REPORT_BYTES = 4096


@dataclass(frozen=True)
class Outcome:
    """How a program ended: result "passed", "failed" or "timed out", and one line of detail."""

    result: str
    detail: str


def run_program(program: str, timeout: float = 3, memory: int = 1 << 30) -> Outcome:
    """Runs a program to its end.

    Args:
        timeout: seconds of processor time. memory: bytes of address space.

    Raises:
        RuntimeError: the limits cannot be set here; the program was not run.
    """
    token = secrets.token_hex(16)
    task = json.dumps({"program": program, "token": token, "timeout": timeout, "memory": memory}).encode()
    with tempfile.TemporaryFile() as report:
        process = subprocess.Popen(
            [sys.executable, "-I", "-B", str(CHILD)],
            stdin=subprocess.PIPE, stdout=report, stderr=subprocess.DEVNULL, cwd="/", start_new_session=True,
            env={"PATH": os.defpath, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONHASHSEED": "0"},
        )  # fmt: skip
        is_late = False
        try:
            process.communicate(task, timeout=timeout * _WAITS + 10)
        except subprocess.TimeoutExpired:
            is_late = True
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        report.seek(0)
        text = report.read(_REPORT_BYTES).decode("utf-8", "replace")
    mark, _, message = text.partition(" ")
    if mark == "unlimited":
        raise RuntimeError(f"programs cannot be run with limits here: {message}")
    if is_late or process.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
        return Outcome("timed out", "timed out")
    if mark == token:
        return Outcome("passed" if message == "passed" else "failed", message)
    if process.returncode < 0:
        return Outcome("failed", f"failed: ended by signal {-process.returncode}")
    return Outcome("failed", "failed: ended early")
