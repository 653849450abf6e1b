"""Requests and answers of a signature: as clients send them, and as the records that warm a server up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from tfadt.data.interactions import InteractionData
from tfadt.errors import ConfigError, DataError, first_line
from tfadt.serving.classification import as_example, read_classification, write_classification
from tfadt.serving.contract import CLASSIFY, SIGNATURES, Tensors

if TYPE_CHECKING:
    from tensorflow_serving.apis import prediction_log_pb2

WARMUP_FILE = "assets.extra/tf_serving_warmup_requests"
MAX_RECORDS = 1000
TOLERANCE = 1e-5


@dataclass(frozen=True)
class Exchange:
    """A request to a signature and its answer."""

    signature: str
    request: Tensors
    answer: Tensors


def id_bytes(ids: np.ndarray) -> np.ndarray:
    """Returns external ids as the bytes that a client sends, an array of objects of the same shape."""
    return np.array([str(value).encode() for value in ids.ravel()], object).reshape(ids.shape)


def answer(function: Any, request: Tensors) -> Tensors:
    """Returns what a signature answers."""
    return {key: value.numpy() for key, value in function(**{k: tf.constant(v) for k, v in request.items()}).items()}


def difference(found: Tensors, expected: Tensors) -> str | None:
    """Returns in which tensor two answers differ, or None.

    Floats may differ by 1e-5, absolute or relative, whichever is more. Items of a ranking may change places, or the last
    ones give way to others, only among scores that are equal to that precision.
    """
    if found.keys() != expected.keys():
        return f"the answer has {', '.join(found)}, expected {', '.join(expected)}"
    for key, value in expected.items():
        if found[key].shape != value.shape or found[key].dtype != value.dtype:
            return f"{key} is {found[key].dtype} {found[key].shape}, expected {value.dtype} {value.shape}"
        if value.dtype.kind == "f":
            same = np.isclose(found[key], value, rtol=TOLERANCE, atol=TOLERANCE)
        else:
            same = found[key] == value
            if key in ("item_ids", "classes"):
                same = same | _same_score(found[key], value, expected["scores"])
        if not same.all():
            first = tuple(np.argwhere(~same)[0])
            return f"{key}{list(map(int, first))} is {found[key][first]!r}, expected {value[first]!r}"
    return None


def _same_score(found: np.ndarray, expected: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Returns where another item stands than expected, but one of the same score; bool `[B, K]`."""
    same = np.zeros(found.shape, bool)
    for row, column in np.argwhere(found != expected):
        place = np.flatnonzero(expected[row] == found[row, column])
        other = scores[row, place[0] if len(place) else -1]
        same[row, column] = np.isclose(other, scores[row, column], rtol=TOLERANCE, atol=TOLERANCE)
    return same


def write_warmup(folder: Path, model: str, exchanges: Sequence[Exchange]) -> None:
    """Writes the records that a server replays before it takes traffic, each with the answer that is expected.

    Raises:
        ConfigError: If tensorflow-serving-api is not installed, or there are more records than a server accepts.
    """
    log = _prediction_log()
    if len(exchanges) > MAX_RECORDS:
        raise ConfigError(f"A server takes at most {MAX_RECORDS} warm-up records. Received: {len(exchanges)}.")
    path = Path(folder) / WARMUP_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for exchange in exchanges:
            record = log.PredictionLog()
            classified = exchange.signature == CLASSIFY
            kind = record.classify_log if classified else record.predict_log
            for spec in (kind.request.model_spec, kind.response.model_spec):
                spec.name = model
                spec.signature_name = exchange.signature
            if classified:
                write_classification(kind, exchange.request, exchange.answer)
            else:
                for key, value in exchange.request.items():
                    kind.request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
                for key, value in exchange.answer.items():
                    kind.response.outputs[key].CopyFrom(tf.make_tensor_proto(value))
            writer.write(record.SerializeToString(deterministic=True))


def read_warmup(folder: Path) -> list[Exchange]:
    """Returns the records of an export.

    Raises:
        DataError: If they are missing or damaged.
        ConfigError: If tensorflow-serving-api is not installed.
    """
    path = Path(folder) / WARMUP_FILE
    if not path.is_file():
        raise DataError(f"{path} does not exist. Expected the warm-up records of an export.")
    return list(_read(path))


def check_installed() -> None:
    """Raises ConfigError if tensorflow-serving-api, which warm-up records need, is not installed."""
    _prediction_log()


def _read(path: Path) -> Iterator[Exchange]:
    log = _prediction_log()
    try:
        for raw in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            record = log.PredictionLog.FromString(raw)
            if record.HasField("classify_log"):
                signature = record.classify_log.request.model_spec.signature_name
                yield Exchange(signature, *read_classification(record.classify_log))
                continue
            predicted = record.predict_log
            request, response = (
                {key: tf.make_ndarray(proto) for key, proto in tensors.items()}
                for tensors in (predicted.request.inputs, predicted.response.outputs)
            )
            yield Exchange(predicted.request.model_spec.signature_name, request, response)
    except Exception as error:  # TensorFlow's DataLossError, protobuf's DecodeError
        raise DataError(f"{path} is damaged: {first_line(error)}") from error


def _prediction_log() -> prediction_log_pb2:
    try:
        from tensorflow_serving.apis import prediction_log_pb2
    except ImportError as error:
        raise ConfigError(
            "Warm-up records need the package tensorflow-serving-api: pip install 'tfadt[serving]'."
        ) from error
    return prediction_log_pb2


BATCHES = (1, 8, 32)
UNKNOWN = b"unknown"
UNKNOWN_INTEGER = np.iinfo(np.int64).min
_SEED = 5
_EXCLUDED = 4
_HISTORY = 20


def sample_requests(names: Sequence[str], data: InteractionData) -> Iterator[tuple[str, Tensors]]:
    """Yields signature and request: for every signature one batch of each size; the larger ones end with an unknown id."""
    random = np.random.default_rng(_SEED)
    history = data.history()
    for name in names:
        for size in BATCHES:
            rows = random.integers(0, len(data.train), size)
            users = data.train.user[rows]
            columns = {
                "user_id": id_bytes(data.users.ids[users]),
                "item_id": id_bytes(data.items.ids[data.train.item[rows]]),
            }
            if size > 1:
                columns["user_id"][-1] = UNKNOWN
            if name == "recommend_excluding":
                columns["exclude_item_ids"] = id_bytes(data.items.ids[random.integers(0, data.num_items, (size, _EXCLUDED))])
            if name == "recommend_from_history":
                columns["item_ids"] = np.full((size, _HISTORY), b"", object)
                for row, user in enumerate(users):
                    items = history.items[history.offsets[user] : history.offsets[user + 1]][:_HISTORY]
                    columns["item_ids"][row, : len(items)] = id_bytes(data.items.ids[items])
            if name == "recommend_integer":
                columns["user_id"] = data.users.ids[users].astype(np.int64)
                columns["user_id"][1:][-1:] = UNKNOWN_INTEGER
            if name == CLASSIFY:
                columns["inputs"] = np.array([as_example(user_id) for user_id in columns["user_id"]], object)
            yield name, {key: columns[key] for key in SIGNATURES[name].inputs}
