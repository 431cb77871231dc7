"""A line about a run: how far it is, how fast, how long it will take, the result so far."""

from __future__ import annotations

import time
from typing import TextIO

__all__ = ["ProgressLine"]


class ProgressLine:
    """Writes the line over itself on a terminal; elsewhere a new one now and then."""

    def __init__(self, stream: TextIO, every: float = 30) -> None:
        self.stream = stream
        self.is_terminal = stream.isatty()
        self.every = 0.2 if self.is_terminal else every
        self._next = 0.0
        self._width = 0

    def __call__(self, label: str, done: int, total: int, right: int, seconds: float) -> None:
        now = time.monotonic()
        if now < self._next and done < total:
            return
        self._next = now + self.every
        text = line(label, done, total, right, seconds)
        if self.is_terminal:
            self.stream.write("\r" + text.ljust(self._width) + ("\n" if done == total else ""))
            self._width = len(text) if done < total else 0
        else:
            self.stream.write(text + "\n")
        self.stream.flush()


def line(label: str, done: int, total: int, right: int, seconds: float) -> str:
    """The text; seconds are for one question, 0 as long as nobody knows."""
    text = f"{label} {done}/{total}"
    if seconds:
        rate = 1 / seconds
        text += f"  {rate:.2f} questions/s  {duration(seconds * (total - done))} left"
    if done:
        text += f"  {right / done:.1%} right so far"
    return text


def duration(seconds: float) -> str:
    """1:02:03, 2:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
