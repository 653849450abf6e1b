"""What each signature takes and gives: the same for every model, so that a client need not change with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfadt.errors import DataError

PREDICT_METHOD = "tensorflow/serving/predict"
CLASSIFY_METHOD = "tensorflow/serving/classify"

Tensors = dict[str, np.ndarray]
"""What a request or an answer holds, by name; strings as bytes."""


@dataclass(frozen=True)
class Port:
    """A tensor of a signature; its first dimension is always the batch.

    Attributes:
        dtype: TensorFlow's name of the type.
        columns: What the second dimension counts: `"K"` ranked items and `"N"` neighbours are fixed at export, `"any"` is as
            long as a request makes it; None for a vector.
    """

    dtype: str
    columns: str | None = None


@dataclass(frozen=True)
class Signature:
    """The tensors of a signature by name, and the name that a graph has for the server's method that asks it."""

    inputs: dict[str, Port]
    outputs: dict[str, Port]
    method: str = PREDICT_METHOD


_IDS = Port("string")
_RANKING = {"item_ids": Port("string", "K"), "scores": Port("float32", "K")}
_KNOWN_USER = {"known_user": Port("bool")}
_KNOWN_PAIR = {"known_user": Port("bool"), "known_item": Port("bool")}
_RECOMMEND = Signature({"user_id": _IDS}, {**_RANKING, **_KNOWN_USER})

SIGNATURES: dict[str, Signature] = {
    "recommend": _RECOMMEND,
    "recommend_colliding": Signature({"user_id": _IDS}, {**_RANKING, **_KNOWN_USER, "neighbor_ids": Port("string", "N")}),
    "recommend_excluding": Signature(
        {"user_id": _IDS, "exclude_item_ids": Port("string", "any")}, {**_RANKING, **_KNOWN_USER}
    ),
    "recommend_from_history": Signature({"item_ids": Port("string", "any")}, {**_RANKING, "known_history": Port("bool")}),
    "recommend_integer": Signature({"user_id": Port("int64")}, {**_RANKING, "item_ids": Port("int64", "K"), **_KNOWN_USER}),
    "classify": Signature(
        {"inputs": Port("string")},
        {"classes": Port("string", "K"), "scores": Port("float32", "K")},
        CLASSIFY_METHOD,
    ),
    "score": Signature({"user_id": _IDS, "item_id": _IDS}, {"score": Port("float32"), **_KNOWN_PAIR}),
    "denoise": Signature({"user_id": _IDS, "item_id": _IDS}, {"noise_share": Port("float32"), **_KNOWN_PAIR}),
}
"""Signature name -> what it takes and gives. `serving_default` is `recommend`."""

CALIBRATED = {"false_positive_probability": Port("float32")}
"""What `denoise` also gives once it is calibrated on known feedback."""

CLASSIFY = "classify"
"""The signature that the server's method Classify asks. Its names are those of that method, which has no others."""

DEFAULT = "serving_default"
"""The name under which a server finds `recommend` when a request names no signature."""


def check_signatures(found: Mapping[str, Any], metadata: Mapping[str, Any]) -> None:
    """Checks the tensors of each exported signature against the contract.

    Args:
        found: `signature_def` of the exported graph.
        metadata: What the export says of itself.

    Raises:
        DataError: If a signature is missing or of another method, or a tensor of it has another name, type or shape, or no
            free batch dimension.
    """
    widths = {"K": metadata["k"], "N": metadata["neighbors"], "any": -1}
    for name in metadata["signatures"]:
        if name not in found:
            raise DataError(f"The export has no signature {name}.")
        signature = SIGNATURES["recommend" if name == DEFAULT else name]
        if found[name].method_name != signature.method:
            raise DataError(
                f"Signature {name} must be asked by the method {signature.method}. Received: {found[name].method_name}."
            )
        outputs = signature.outputs
        if name == "denoise" and metadata["denoise"]["calibrated"]:
            outputs = outputs | CALIBRATED
        for side, expected in (("inputs", signature.inputs), ("outputs", outputs)):
            tensors = getattr(found[name], side)
            if set(tensors) != set(expected):
                raise DataError(
                    f"Signature {name} must have the {side} {', '.join(expected)}. Received: {', '.join(sorted(tensors))}."
                )
            for key, port in expected.items():
                shape = [-1] if port.columns is None else [-1, widths[port.columns]]
                received = [dim.size for dim in tensors[key].tensor_shape.dim]
                kind = _TYPES.get(tensors[key].dtype, str(tensors[key].dtype))
                if (kind, received) != (port.dtype, shape) or tensors[key].tensor_shape.unknown_rank:
                    raise DataError(
                        f"Signature {name}: {key} must be {port.dtype} {shape}, -1 for the batch. "
                        f"Received: {kind} {received}."
                    )


_TYPES = {1: "float32", 7: "string", 9: "int64", 10: "bool"}  # TensorFlow's DataType
