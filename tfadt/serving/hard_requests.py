"""Requests that a server must live through: of no row, of a thousand, with ids that nobody has, and of the wrong shape."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tfadt.serving.contract import SIGNATURES
from tfadt.serving.requests import Tensors

_MANY = 1000
_LONG = b"x" * 10_000
_NOT_UTF8 = b"\xff\xfe\x00\x80"


def answered(signature: str, request: Tensors) -> Iterator[tuple[str, Tensors]]:
    """Yields hard variants of a request that must be answered, each with what is hard about it."""
    yield "empty batch", {key: value[:0] for key, value in request.items()}
    yield f"batch of {_MANY}", {key: np.resize(value, (_MANY, *value.shape[1:])) for key, value in request.items()}
    yield "ids of 10,000 bytes", {key: np.full_like(value, _LONG) for key, value in request.items()}
    yield "ids that are not UTF-8", {key: np.full_like(value, _NOT_UTF8) for key, value in request.items()}
    yield "empty ids", {key: np.full_like(value, b"") for key, value in request.items()}
    for key in _lists(signature):
        yield f"{key} of no column", {**request, key: request[key][:, :0]}


def refused(signature: str, request: Tensors) -> Iterator[tuple[str, Tensors]]:
    """Yields malformed variants of a request of two rows or more, which the graph must refuse with an error."""
    for key, value in request.items():
        yield f"{key} of another rank", {**request, key: value[..., None] if value.ndim == 1 else value[:, 0]}
        if len(request) > 1:
            yield f"{key} of another batch size", {**request, key: value[:1]}


def _lists(signature: str) -> list[str]:
    return [key for key, port in SIGNATURES[signature].inputs.items() if port.columns is not None]
