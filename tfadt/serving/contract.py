"""What each signature takes and gives: the same for every model, so that a client need not change with it."""

from __future__ import annotations

from dataclasses import dataclass


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
    """The tensors of a signature by name."""

    inputs: dict[str, Port]
    outputs: dict[str, Port]


_IDS = Port("string")
_RANKING = {"item_ids": Port("string", "K"), "scores": Port("float32", "K")}
_KNOWN_USER = {"known_user": Port("bool")}
_KNOWN_PAIR = {"known_user": Port("bool"), "known_item": Port("bool")}
_RECOMMEND = Signature({"user_id": _IDS}, {**_RANKING, **_KNOWN_USER})

SIGNATURES: dict[str, Signature] = {
    "recommend": _RECOMMEND,
    "recommend_colliding": Signature(
        {"user_id": _IDS}, {**_RANKING, **_KNOWN_USER, "neighbor_ids": Port("string", "N")}
    ),
    "recommend_excluding": Signature(
        {"user_id": _IDS, "exclude_item_ids": Port("string", "any")}, {**_RANKING, **_KNOWN_USER}
    ),
    "recommend_from_history": Signature({"item_ids": Port("string", "any")}, {**_RANKING, "known_history": Port("bool")}),
    "score": Signature({"user_id": _IDS, "item_id": _IDS}, {"score": Port("float32"), **_KNOWN_PAIR}),
    "denoise": Signature({"user_id": _IDS, "item_id": _IDS}, {"noise_share": Port("float32"), **_KNOWN_PAIR}),
}
"""Signature name -> what it takes and gives. `serving_default` is `recommend`."""

CALIBRATED = {"false_positive_probability": Port("float32")}
"""What `denoise` also gives once it is calibrated on known feedback."""

DEFAULT = "serving_default"
"""The name under which a server finds `recommend` when a request names no signature."""
