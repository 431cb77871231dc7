"""The file of a task's records: a line a question, written as it ends, read again when the run goes on."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import IO, TYPE_CHECKING

from .data import DataError, decode
from .records import Record

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Journal", "read_records"]


class Journal:
    """DIR/TASK.jsonl. One run at a time has it.

    Attributes:
        records: what there was already, by id.

    Raises:
        DataError: a line before the last one that is no record; another run has the file. OSError: the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: IO[bytes] = open(path, "a+b")  # noqa: SIM115 - closed by __exit__
        try:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise DataError(path, None, "another run is writing this file") from None
            self._file.seek(0)
            data = self._file.read()
            # A line that was not finished when the run was killed ends without a line feed.
            whole = data.rfind(b"\n") + 1
            self.records = parse(path, data[:whole])
            if whole < len(data):
                os.truncate(path, whole)
        except BaseException:
            self._file.close()
            raise

    def write(self, record: Record) -> None:
        self._file.write(json.dumps(record, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n")
        self._file.flush()
        self.records[record["id"]] = record

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def read_records(path: Path) -> dict[str, Record]:
    """The records of a file that a run wrote, by id; a last line that is not finished is left out.

    Raises:
        DataError: a line that is no record, or the file cannot be read.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(path, None, error.strerror or str(error)) from None
    return parse(path, data[: data.rfind(b"\n") + 1])


def parse(path: Path, data: bytes) -> dict[str, Record]:
    records: dict[str, Record] = {}
    for number, line in enumerate(decode(path, data).split("\n"), start=1):
        if not line:
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(path, number, f"no JSON: {error}") from None
        texts = dict.fromkeys(("id", "subject", "prompt_sha256", "pred", "gold"), str)
        expected: dict[str, type] = {**texts, "category": list, "correct": bool}
        if not isinstance(record, dict) or not all(isinstance(record.get(key), of) for key, of in expected.items()):
            raise DataError(path, number, f"no record with {', '.join(expected)}")
        records[record["id"]] = record
    return records
