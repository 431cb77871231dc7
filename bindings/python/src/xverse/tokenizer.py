"""Text to token ids and back."""

from __future__ import annotations

import os
from collections.abc import Iterable
from ctypes import byref, c_int32, c_size_t, c_void_p, string_at
from typing import TYPE_CHECKING

from . import _ffi
from ._handle import Handle, Owner, encode, read_array, read_text, take_text, tokens_array
from ._library import lib
from .errors import check

if TYPE_CHECKING:
    from ._handle import StrPath

__all__ = ["Detokenizer", "Tokenizer"]


class Tokenizer(Owner):
    """A tokenizer; immutable, threads may share it.

    Args:
        path: a tokenizer.json or its directory, or a GGUF file. A model has one already: `Model.tokenizer`.

    Raises:
        NotFoundError, CorruptError, UnsupportedError (naming the component), FileError, LimitError.
    """

    def __init__(self, path: StrPath) -> None:
        owned = Handle(lib.xverse_tokenizer_open, lib.xverse_tokenizer_release, os.fsencode(path))
        self._adopt(owned, owned._as_parameter_)

    @classmethod
    def _of_model(cls, model: Handle) -> Tokenizer:
        """A model's own tokenizer, which lives as long as the model."""
        tokenizer = cls.__new__(cls)
        tokenizer._adopt(model, c_void_p(lib.xverse_model_tokenizer(model)))
        return tokenizer

    def _adopt(self, owner: Handle, pointer: c_void_p) -> None:
        self._owned = owner
        self._pointer = pointer
        self.vocab_size: int = lib.xverse_tokenizer_vocab_size(pointer)
        """Highest id + 1."""
        self.eos = self._special(_ffi.TOKEN_EOS)
        """Id of the end-of-sequence token; None: there is none. So for bos, pad and unk."""
        self.bos = self._special(_ffi.TOKEN_BOS)
        self.pad = self._special(_ffi.TOKEN_PAD)
        self.unk = self._special(_ffi.TOKEN_UNK)

    def _special(self, which: int) -> int | None:
        token: int = lib.xverse_tokenizer_special(self._pointer, which)
        return None if token < 0 else token

    def __len__(self) -> int:
        return self.vocab_size

    def _use(self) -> c_void_p:
        _ = self._handle  # an error when closed
        return self._pointer

    def encode(self, text: str, bos: bool = False, special: bool = False) -> list[int]:
        """The ids of a text.

        Args:
            bos: puts the BOS token first.
            special: "<|endoftext|>" in the text becomes that token, as in Hugging Face's; else it stays characters.

        Raises:
            UnsupportedError: bos, and there is no BOS token.
        """
        data = encode(text)
        flags = (_ffi.ENCODE_BOS if bos else 0) | (_ffi.ENCODE_SPECIAL if special else 0)
        return read_array(lib.xverse_tokenizer_encode, self._use(), data, len(data), flags)

    def decode(self, tokens: Iterable[int], skip_special: bool = False) -> str:
        """The text of ids; bytes that form no character become U+FFFD.

        Raises:
            RangeError: an id that does not exist.
        """
        ids = tokens_array(tokens)
        flags = _ffi.DECODE_SKIP_SPECIAL if skip_special else _ffi.DECODE_PLAIN
        return take_text(lib.xverse_tokenizer_decode, self._use(), ids, len(ids), flags)

    def token_bytes(self, token: int) -> bytes:
        """The bytes that a token adds to a text, perhaps part of a character; of a special token its spelling.

        Raises:
            RangeError: an id that does not exist.
        """
        found, length = c_void_p(), c_size_t()
        check(lib.xverse_tokenizer_token_bytes(self._use(), token, byref(found), byref(length), None))
        return string_at(found.value, length.value) if found.value else b""

    def is_special(self, token: int) -> bool:
        """Whether a token is special, as <|endoftext|> is.

        Raises:
            RangeError: an id that does not exist.
        """
        found = c_int32()
        check(lib.xverse_tokenizer_token_bytes(self._use(), token, None, None, byref(found)))
        return found.value != 0

    def detokenizer(self, skip_special: bool = False) -> Detokenizer:
        """A streaming detokenizer."""
        return Detokenizer(self, skip_special)


class Detokenizer(Owner):
    """Ids to text, one by one; never splits a character. One thread at a time.

    detokenizer = model.tokenizer.detokenizer()
    text = "".join(map(detokenizer.push, tokens)) + detokenizer.flush()
    """

    def __init__(self, tokenizer: Tokenizer, skip_special: bool = False) -> None:
        flags = _ffi.DECODE_SKIP_SPECIAL if skip_special else _ffi.DECODE_PLAIN
        create, free = lib.xverse_detokenizer_create, lib.xverse_detokenizer_free
        self._owned = Handle(create, free, tokenizer._use(), flags)

    def push(self, token: int) -> str:
        """What became certain with this token, whole characters, often "".

        Raises:
            RangeError: an id that does not exist.
        """
        text, length = c_void_p(), c_size_t()
        check(lib.xverse_detokenizer_push(self._handle, token, byref(text), byref(length)))
        return read_text(text.value, length.value)

    def flush(self) -> str:
        """What was held back; then the object is ready for another text."""
        text, length = c_void_p(), c_size_t()
        check(lib.xverse_detokenizer_flush(self._handle, byref(text), byref(length)))
        return read_text(text.value, length.value)
