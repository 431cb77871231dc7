"""Reads the files of benchmarks as they are published; every error names file and line."""

from __future__ import annotations

import ast
import csv
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

__all__ = ["DataError", "csv_rows", "find", "json_lines", "letter", "literal", "literal_lines", "read", "text_at"]

LETTERS = "ABCDEFGHIJ"


class DataError(ValueError):
    """A benchmark's file that is missing, or not as it is published."""

    def __init__(self, path: Path, line: int | None, problem: str) -> None:
        super().__init__(f"{path}{'' if line is None else f':{line}'}: {problem}")
        self.path = path
        self.line = line


def find(folder: Path, names: Sequence[str], published: str) -> Path:
    """The first of the names that exists in the folder.

    Raises:
        DataError: none does; it says where they are published.
    """
    for name in names:
        if (folder / name).exists():
            return folder / name
    others = "".join(f", nor {name}" for name in names[1:])
    raise DataError(folder / names[0], None, f"not found{others}; published at {published}")


def read(path: Path) -> str:
    """The text of a file, its line ends as they are.

    Raises:
        DataError: it cannot be read, or is not UTF-8.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(path, None, error.strerror or str(error)) from None
    return decode(path, data)


def decode(path: Path, data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(path, line, f"byte 0x{data[error.start]:02x} is not UTF-8") from None


def csv_rows(path: Path, columns: int, header: Sequence[str] | None = None) -> Iterator[tuple[int, list[str]]]:
    """The rows of a CSV file, with the line that each begins in.

    Args:
        columns: how many columns a row has.
        header: the first row, which is left out; None: there is no header.

    Raises:
        DataError: quotes that do not close, another header, another number of columns, no rows.
    """
    reader = csv.reader(io.StringIO(read(path), newline=""), strict=True)
    line, count, expects_header = 1, 0, header is not None
    while True:
        try:
            row = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            raise DataError(path, line, f"no CSV: {error}") from None
        at, line = line, reader.line_num + 1
        if not row:
            continue
        if expects_header:
            expects_header = False
            if row != list(header or ()):
                raise DataError(path, at, f"the header is {','.join(row)!r:.120}, expected {','.join(header or ())!r}")
            continue
        if len(row) != columns:
            raise DataError(path, at, f"a row of {len(row)} columns, expected {columns}")
        count += 1
        yield at, row
    if count == 0:
        raise DataError(path, None, "no rows")


def json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a file with one JSON object a line, with their lines.

    Raises:
        DataError: a line that is no JSON object, no lines.
    """
    return object_lines(path, read(path), parse_json)


def literal_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The same of a file with one Python dictionary a line."""
    return object_lines(path, read(path), literal)


def object_lines(path: Path, text: str, parse: Any) -> Iterator[tuple[int, dict[str, Any]]]:
    count = 0
    for line, content in enumerate(text.split("\n"), start=1):
        if not content.strip():
            continue
        value = parse(path, line, content)
        if not isinstance(value, dict):
            raise DataError(path, line, f"{content!r:.80}, expected an object")
        count += 1
        yield line, value
    if count == 0:
        raise DataError(path, None, "no lines")


def parse_json(path: Path, line: int, text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(path, line + error.lineno - 1, f"no JSON: {error.msg} at column {error.colno}") from None
    except (ValueError, RecursionError) as error:
        raise DataError(path, line, f"no JSON: {error}") from None


def literal(path: Path, line: int, text: str) -> Any:
    """The value of a Python literal."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError) as error:
        raise DataError(path, line, f"no Python literal: {error}") from None


def text_at(path: Path, line: int, record: dict[str, Any], key: str) -> str:
    """A text of a record.

    Raises:
        DataError: it is missing or no text.
    """
    value = record.get(key)
    if not isinstance(value, str):
        raise DataError(path, line, f"{key} is {value!r:.80}, expected a text")
    return value


def texts_at(path: Path, line: int, record: dict[str, Any], key: str, least: int = 2) -> list[str]:
    """A list of texts of a record, such as its options."""
    value = record.get(key)
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise DataError(path, line, f"{key} is {value!r:.80}, expected a list of texts")
    if not least <= len(value) <= len(LETTERS):
        raise DataError(path, line, f"{key} has {len(value)} entries, expected {least} to {len(LETTERS)}")
    return list(value)


def letter(path: Path, line: int, value: Any, count: int) -> str:
    """The letter of an answer among `count` options.

    Raises:
        DataError: another one.
    """
    if not isinstance(value, str) or len(value) != 1 or value not in LETTERS[:count]:
        raise DataError(path, line, f"the answer is {value!r:.40}, expected a letter from A to {LETTERS[count - 1]}")
    return value
