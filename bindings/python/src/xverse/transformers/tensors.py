"""Token ids as lists, numpy arrays and torch tensors."""

from __future__ import annotations

import operator
import warnings
from collections.abc import Sequence
from typing import Any

_has_warned = False


def warn_of_cpu(stacklevel: int = 3) -> None:
    """Says once in a process that nothing moves to a GPU."""
    global _has_warned
    if not _has_warned:
        _has_warned = True
        warnings.warn(
            "libxverse computes on the CPU: cuda() and to() change nothing", UserWarning, stacklevel=stacklevel
        )


def is_cpu(device: Any) -> bool:
    """Whether a device, or what else .to() takes, is no GPU."""
    return "cuda" not in str(device) and not isinstance(device, int)


def kind_of(values: Any) -> str | None:
    """ "pt" for a torch tensor, "np" for a numpy array, None for lists."""
    module = type(values).__module__.partition(".")[0]
    if module == "torch" or (hasattr(values, "detach") and hasattr(values, "cpu")):
        return "pt"
    return "np" if module == "numpy" and hasattr(values, "shape") else None


def to_list(values: Any) -> Any:
    """Nested lists of whole numbers.

    Raises:
        TypeError: something else.
    """
    if hasattr(values, "tolist"):
        values = values.tolist()
    if isinstance(values, (list, tuple)):
        return [to_list(value) for value in values]
    return operator.index(values)


def to_rows(values: Any, name: str) -> tuple[list[list[int]], str | None]:
    """Rows of ids and what they came as.

    Raises:
        TypeError: neither one nor two dimensions of whole numbers.
    """
    kind = kind_of(values)
    try:
        rows = to_list(values)
        if rows and isinstance(rows[0], int):
            rows = [rows]
        if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
            raise TypeError
        if not all(isinstance(token, int) for row in rows for token in row):
            raise TypeError
    except TypeError:
        raise TypeError(f"{name} are {values!r:.80}, expected token ids of one or two dimensions") from None
    if kind is None and rows and not isinstance(values[0], (list, tuple)):
        kind = kind_of(values[0])  # a list of tensors
    return rows, kind


def make(rows: Sequence[Any], kind: str | None, like: Any = None) -> Any:
    """Rows of one length as a tensor of int64 [rows, tokens]; kind None: lists.

    Raises:
        ValueError: an unknown kind, or rows of different lengths. ImportError: the package of the kind is missing.
    """
    if kind is None:
        return list(rows)
    if kind not in ("pt", "np"):
        raise ValueError(f"return_tensors is {kind!r}, expected 'pt', 'np' or None")
    if len({len(row) for row in rows if isinstance(row, list)}) > 1:
        raise ValueError("the texts have different numbers of tokens: a tensor of them needs padding=True")
    if kind == "np":
        import numpy

        return numpy.array(rows, dtype=numpy.int64)
    try:
        import torch
    except ImportError:
        raise ImportError("return_tensors='pt' needs PyTorch, which is not installed; 'np' needs numpy only") from None
    tensor = torch.tensor(rows, dtype=torch.int64)
    if like is not None:
        return tensor.to(like.device) if type(like) is torch.Tensor else tensor.as_subclass(type(like))
    return tensor if torch.cuda.is_available() else tensor.as_subclass(_host_tensor())


_host_class: Any = None


def _host_tensor() -> Any:
    """A torch tensor that stays where it is, for programs written for a GPU on machines without one."""
    global _host_class
    if _host_class is None:
        import torch

        class HostTensor(torch.Tensor):  # type: ignore[misc, unused-ignore]
            """A tensor whose cuda() and to("cuda") warn once and change nothing."""

            def cuda(self, *_: Any, **__: Any) -> Any:
                warn_of_cpu()
                return self

            def to(self, *arguments: Any, **options: Any) -> Any:
                if all(map(is_cpu, [*arguments[:1], *filter(None, [options.get("device")])])):
                    return super().to(*arguments, **options)
                warn_of_cpu()
                return self

        _host_class = HostTensor
    return _host_class
