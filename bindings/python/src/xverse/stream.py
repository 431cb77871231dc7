"""Streams: an answer piece by piece."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ._call import Call
from .result import Result

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Stream"]


class Stream(Iterator[str]):
    """The pieces of an answer as they become certain, whole characters; closing it, or dropping it, stops the answer.

    Attributes:
        result: the whole answer once the loop has ended by itself; None before, and if it was left early.
    """

    def __init__(self, call: Call[Result]) -> None:
        self._call = call
        self._pieces = call.pieces(rests=True)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        piece: str = next(self._pieces)
        return piece

    @property
    def result(self) -> Result | None:
        return self._call.result

    def close(self) -> None:
        """Stops the answer and waits for its end: the session is free then."""
        self._pieces.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
