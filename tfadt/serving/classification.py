"""Requests and answers of the server's method Classify, which sends `tf.train.Example` and gets classes with scores."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from tfadt.serving.contract import Tensors


def as_example(user_id: bytes) -> bytes:
    """Returns a serialized `tf.train.Example` whose feature `user_id` is this id."""
    feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[user_id]))
    example = tf.train.Example(features=tf.train.Features(feature={"user_id": feature}))
    return bytes(example.SerializeToString(deterministic=True))


def write_classification(log: Any, request: Tensors, answer: Tensors) -> None:
    """Writes the tensors `inputs`, `classes` and `scores` of a signature into a `ClassifyLog`, as the server sends them."""
    for example in request["inputs"]:
        log.request.input.example_list.examples.add().ParseFromString(example)
    for labels, scores in zip(answer["classes"], answer["scores"], strict=True):
        row = log.response.result.classifications.add()
        for label, score in zip(labels, scores, strict=True):
            row.classes.add(label=label, score=score)


def read_classification(log: Any) -> tuple[Tensors, Tensors]:
    """Returns the tensors of the request and of the answer of a `ClassifyLog`."""
    examples = [example.SerializeToString(deterministic=True) for example in log.request.input.example_list.examples]
    rows = [row.classes for row in log.response.result.classifications]
    answer = {
        "classes": np.array([[found.label.encode() for found in row] for row in rows], object),
        "scores": np.array([[found.score for found in row] for row in rows], np.float32),
    }
    return {"inputs": np.array(examples, object)}, answer
