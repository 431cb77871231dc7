"""AutoTokenizer: a model's tokenizer with transformers' methods."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import UnsupportedError
from ..model import Model
from ..tokenizer import Tokenizer
from .hub import HUB_ARGUMENTS, reject_unknown, resolve
from .tensors import is_cpu, make, to_list, warn_of_cpu

# Where a tokenizer's configuration names no length, as in transformers.
VERY_LARGE = int(1e30)
SIDES = ("left", "right")
_ACCEPTED = HUB_ARGUMENTS | {"use_fast", "legacy", "clean_up_tokenization_spaces"}


class AutoTokenizer:
    """`AutoTokenizer.from_pretrained(path)` is the tokenizer of a model."""

    @staticmethod
    def from_pretrained(pretrained_model_name_or_path: str | os.PathLike[str], **arguments: Any) -> XverseTokenizer:
        """Opens a tokenizer.

        Args:
            pretrained_model_name_or_path: a model's directory, a tokenizer.json, a GGUF file, or the name of a model that
                is in the local Hugging Face cache.
            **arguments: padding_side ("left", the default here, or "right"), truncation_side, model_max_length;
                revision and cache_dir for the cache. Without a meaning: use_fast, legacy, trust_remote_code, token,
                local_files_only and others about downloading.

        Raises:
            NotFoundError: neither a path nor in the cache. Others as `xverse.Tokenizer`. TypeError: another argument.
        """
        path = resolve(pretrained_model_name_or_path, arguments)
        chosen = {key: value for key, value in arguments.items() if key not in _ACCEPTED}
        reject_unknown("from_pretrained()", set(chosen) - {"padding_side", "truncation_side", "model_max_length"})
        return XverseTokenizer(path, **chosen)


class BatchEncoding(dict[str, Any]):
    """input_ids and attention_mask, as items and as attributes."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"no {name!r} here, only {', '.join(self)}") from None

    def to(self, device: Any = None, **_: Any) -> BatchEncoding:
        """Itself: the library computes on the CPU."""
        if not is_cpu(device):
            warn_of_cpu()
        return self

    def cuda(self, *_: Any) -> BatchEncoding:
        """Itself, with a warning."""
        warn_of_cpu()
        return self


class XverseTokenizer:
    """A tokenizer with transformers' methods; what it does is the library's, whose ids are Hugging Face's.

    Special tokens in a text, such as <|endoftext|>, become those tokens, as in transformers; in `apply_chat_template`
    they stay text. No BOS is added: XVERSE's tokenizers add none.

    Attributes:
        padding_side, truncation_side: "left" or "right".
        model_max_length: tokens to which truncation=True cuts without max_length.
    """

    def __init__(
        self, path: str, padding_side: str = "left", truncation_side: str = "right", model_max_length: int | None = None
    ) -> None:
        for name, side in (("padding_side", padding_side), ("truncation_side", truncation_side)):
            if side not in SIDES:
                raise ValueError(f"{name} is {side!r}, expected 'left' or 'right'")
        self.name_or_path = path
        self.padding_side, self.truncation_side = padding_side, truncation_side
        self.tokenizer = Tokenizer(path)
        """The library's tokenizer."""
        configuration = _read_configuration(path)
        self.model_max_length: int = model_max_length or configuration.get("model_max_length") or VERY_LARGE
        self._templates: Model | None = None

    # ---- special tokens ----

    @property
    def eos_token_id(self) -> int | None:
        return self.tokenizer.eos

    @property
    def bos_token_id(self) -> int | None:
        return self.tokenizer.bos

    @property
    def pad_token_id(self) -> int | None:
        return self.tokenizer.pad

    @property
    def unk_token_id(self) -> int | None:
        return self.tokenizer.unk

    @property
    def eos_token(self) -> str | None:
        return self._spelling(self.tokenizer.eos)

    @property
    def bos_token(self) -> str | None:
        return self._spelling(self.tokenizer.bos)

    @property
    def pad_token(self) -> str | None:
        return self._spelling(self.tokenizer.pad)

    @property
    def unk_token(self) -> str | None:
        return self._spelling(self.tokenizer.unk)

    def _spelling(self, token: int | None) -> str | None:
        return None if token is None else self.tokenizer.token_bytes(token).decode(errors="replace")

    @property
    def all_special_ids(self) -> list[int]:
        """The ids of EOS, BOS, padding and unknown, those that there are."""
        ids = (self.eos_token_id, self.bos_token_id, self.pad_token_id, self.unk_token_id)
        return list(dict.fromkeys(token for token in ids if token is not None))

    @property
    def vocab_size(self) -> int:
        return self.tokenizer.vocab_size

    def __len__(self) -> int:
        return self.tokenizer.vocab_size

    # ---- text to ids ----

    def __call__(
        self,
        text: str | Sequence[str],
        *,
        add_special_tokens: bool = True,
        padding: bool | str = False,
        truncation: bool | str | None = None,
        max_length: int | None = None,
        return_tensors: str | None = None,
        return_attention_mask: bool | None = None,
        return_token_type_ids: bool | None = None,
        padding_side: str | None = None,
        verbose: bool = True,
    ) -> BatchEncoding:
        """The ids of a text or of several.

        Args:
            padding: True or "longest": to the longest text; "max_length": to max_length.
            truncation: True: to max_length, or model_max_length.
            return_tensors: "pt": int64 tensors [texts, tokens]; "np": numpy arrays; None: lists.
            add_special_tokens, return_token_type_ids, verbose: without a meaning.

        Raises:
            TypeError: no text. ValueError: texts of different lengths as a tensor without padding, an unknown choice.
            ImportError: return_tensors="pt" without PyTorch.
        """
        is_one = isinstance(text, str)
        texts = [text] if isinstance(text, str) else list(text)
        for each in texts:
            if not isinstance(each, str):
                raise TypeError(f"the text is {each!r:.80}, expected a string or a list of strings")
        rows = [self.tokenizer.encode(each, special=True) for each in texts]
        if truncation not in (None, False, "do_not_truncate"):
            most = max_length or self.model_max_length
            rows = [row[:most] if self.truncation_side == "right" else row[max(0, len(row) - most) :] for row in rows]
        found = self._padded(rows, padding, max_length, padding_side or self.padding_side)
        if return_attention_mask is False:
            del found["attention_mask"]
        return BatchEncoding(
            {
                name: value[0] if is_one and return_tensors is None else make(value, return_tensors)
                for name, value in found.items()
            }
        )

    def _padded(
        self, rows: list[list[int]], padding: bool | str, max_length: int | None, side: str
    ) -> dict[str, list[list[int]]]:
        if padding in (False, "do_not_pad"):
            length = 0
        elif padding in (True, "longest"):
            length = max(map(len, rows), default=0)
        elif padding == "max_length" and max_length is not None:
            length = max_length
        else:
            raise ValueError(f"padding is {padding!r}, expected True, False, or 'max_length' with max_length")
        if side not in SIDES:
            raise ValueError(f"padding_side is {side!r}, expected 'left' or 'right'")
        pad = self.pad_token_id
        if pad is None and any(len(row) < length for row in rows):
            raise ValueError("the tokenizer has no padding token, expected texts of one length or padding=False")
        ids, masks = [], []
        for row in rows:
            gap, ones = [0] * max(0, length - len(row)), [1] * len(row)
            fill = [pad or 0] * len(gap)
            ids.append([*fill, *row] if side == "left" else [*row, *fill])
            masks.append([*gap, *ones] if side == "left" else [*ones, *gap])
        return {"input_ids": ids, "attention_mask": masks}

    def encode(self, text: str, **options: Any) -> Any:
        """The ids of a text, a list or with return_tensors a tensor [1, tokens]; options as of calling the tokenizer."""
        return self(text, **options)["input_ids"]

    # ---- ids to text ----

    def decode(
        self, token_ids: Any, skip_special_tokens: bool = False, clean_up_tokenization_spaces: bool | None = None
    ) -> str:
        """The text of ids: a list, an array, a tensor, one id.

        Raises:
            RangeError: an id that does not exist. UnsupportedError: clean_up_tokenization_spaces=True.
        """
        if clean_up_tokenization_spaces:
            raise UnsupportedError("clean_up_tokenization_spaces is True, expected False: the text stays as it is")
        ids = to_list(token_ids)
        return self.tokenizer.decode([ids] if isinstance(ids, int) else ids, skip_special=skip_special_tokens)

    def batch_decode(
        self, sequences: Any, skip_special_tokens: bool = False, clean_up_tokenization_spaces: bool | None = None
    ) -> list[str]:
        """The texts of several rows of ids, as `decode`."""
        return [self.decode(row, skip_special_tokens, clean_up_tokenization_spaces) for row in to_list(sequences)]

    # ---- conversations ----

    def apply_chat_template(
        self,
        conversation: Sequence[Mapping[str, str]] | Sequence[Sequence[Mapping[str, str]]],
        *,
        tokenize: bool = True,
        add_generation_prompt: bool = False,
        continue_final_message: bool = False,
        return_tensors: str | None = None,
        return_dict: bool = False,
        padding: bool | str = False,
        truncation: bool = False,
        max_length: int | None = None,
        chat_template: str | None = None,
        tools: Sequence[Any] | None = None,
        documents: Sequence[Any] | None = None,
    ) -> Any:
        """The prompt of a conversation, as the library makes it: XVERSE's template, its pieces encoded one by one.

        Rounds that do not fit the context are left out, the oldest first, as in XVERSE's chat().

        Args:
            conversation: messages, or a list of conversations.
            add_generation_prompt: "Assistant: " at the end; without it the conversation must end with an answer or a
                question.
            continue_final_message: the last message, the assistant's, is not ended.

        Returns:
            Ids, a list or tensors; with tokenize=False the text; with return_dict a BatchEncoding.

        Raises:
            UnsupportedError: another template, tools, documents, or a conversation ended by an answer with
            add_generation_prompt. InvalidError: a conversation that cannot be answered.
        """
        for name, value in (("chat_template", chat_template), ("tools", tools), ("documents", documents)):
            if value:
                raise UnsupportedError(
                    f"{name} is given, expected none: the library has the template of XVERSE's models"
                )
        is_one = bool(conversation) and isinstance(conversation[0], Mapping)
        conversations: Any = [conversation] if is_one else conversation
        rows = [self._conversation(each, add_generation_prompt, continue_final_message) for each in conversations]
        if truncation:
            rows = [row[: max_length or self.model_max_length] for row in rows]
        if not tokenize:
            texts = [self.tokenizer.decode(row) for row in rows]
            return texts[0] if is_one else texts
        found = self._padded(rows, padding, max_length, self.padding_side)
        if is_one and return_tensors is None:
            encoding = BatchEncoding({name: value[0] for name, value in found.items()})
        else:
            encoding = BatchEncoding({name: make(value, return_tensors) for name, value in found.items()})
        return encoding if return_dict else encoding["input_ids"]

    def _conversation(self, messages: Sequence[Mapping[str, str]], answers: bool, continues: bool) -> list[int]:
        if self._templates is None:
            self._templates = Model(self.name_or_path, vocab_only=True)
        ids = self._templates.prompt_tokens(messages)
        if messages[-1]["role"] == "assistant":
            if answers:
                raise UnsupportedError(
                    "add_generation_prompt after an answer, expected a conversation that ends with a question"
                )
            end = [] if continues or self.eos_token_id is None else [self.eos_token_id]
            return ids + end
        if continues:
            raise ValueError("continue_final_message, and the last message is not the assistant's")
        if answers:
            return ids
        prompt = self.tokenizer.encode("Assistant: ")
        if ids[-len(prompt) :] != prompt:
            raise UnsupportedError(
                "add_generation_prompt is False, expected True: this model's template has another end"
            )
        return ids[: -len(prompt)]


def _read_configuration(path: str) -> dict[str, Any]:
    """tokenizer_config.json beside the tokenizer, or nothing: only a length is read of it."""
    folder = Path(path) if os.path.isdir(path) else Path(path).parent
    try:
        found = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    length = found.get("model_max_length") if isinstance(found, dict) else None
    return {"model_max_length": int(length)} if isinstance(length, (int, float)) and length >= 1 else {}
