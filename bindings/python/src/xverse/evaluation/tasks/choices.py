"""What the tasks with lettered options share."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Callable

from ..data import LETTERS, DataError


def spaced(count: int) -> tuple[str, ...]:
    """ " A", " B" ..."""
    return tuple(f" {letter}" for letter in LETTERS[:count])


def bare(count: int) -> tuple[str, ...]:
    """ "A", "B" ..."""
    return tuple(LETTERS[:count])


def options_text(options: Sequence[str]) -> str:
    """Each option on a line of its own, behind a line feed."""
    return "".join(f"\n{letter}. {option}" for letter, option in zip(LETTERS, options))


def fixed(text: str) -> Callable[[int], str]:
    """An item that does not depend on the number of shots."""
    return lambda _: text


def one_of(texts: Sequence[str]) -> Callable[[int], str]:
    """An item for each number of shots."""
    return lambda count: texts[count]


def after_shots(text: str, between: str) -> Callable[[int], str]:
    """An item with a text before it when there are shots."""
    return lambda count: between + text if count else text


def subjects(folder: Path, suffix: str) -> list[str]:
    """The subjects that a folder has files SUBJECT + suffix for, sorted.

    Raises:
        DataError: there are none.
    """
    try:
        names = sorted(path.name[: -len(suffix)] for path in folder.iterdir() if path.name.endswith(suffix))
    except OSError as error:
        raise DataError(folder, None, error.strerror or str(error)) from None
    if not names:
        raise DataError(folder, None, f"no files *{suffix}")
    return names


def by_number(path: Path) -> tuple[int, str]:
    """Sorts 2.txt before 10.txt."""
    digits = re.match(r"\d+", path.name)
    return (int(digits[0]) if digits and len(digits[0]) < 19 else 0, path.name)
