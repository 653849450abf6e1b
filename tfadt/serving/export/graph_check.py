"""Refuses what a TensorFlow Serving of the standard build could not load or run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf
from tensorflow.core.framework import node_def_pb2
from tensorflow.core.protobuf import saved_model_pb2

from tfadt.errors import DataError

_PYTHON = ("PyFunc", "PyFuncStateless", "EagerPyFunc")
_LARGEST_CONSTANT = 1 << 20  # bytes


def read_saved_model(folder: Path) -> saved_model_pb2.SavedModel:
    """Returns the graphs and signatures of an export, without loading it.

    Raises:
        DataError: If there is none, or it is damaged.
    """
    path = Path(folder) / "saved_model.pb"
    if not path.is_file():
        raise DataError(f"{path} does not exist. Expected the folder of an exported version.")
    model = saved_model_pb2.SavedModel()
    try:
        model.ParseFromString(path.read_bytes())
    except Exception as error:  # protobuf's DecodeError, which has moved between its versions
        raise DataError(f"{path} is damaged: {error}.") from error
    if not model.meta_graphs:
        raise DataError(f"{path} holds no graph.")
    return model


def check_graph(model: saved_model_pb2.SavedModel) -> None:
    """Checks that the graph runs anywhere.

    Raises:
        DataError: If it calls Python, has an operation that the standard build does not have, or holds a table as a
            constant; the operation and its function are named.
    """
    for place, node in _nodes(model):
        if node.op in _PYTHON:
            raise DataError(
                f"The graph calls Python ({node.op} '{node.name}' in {place}), which a server does not have. Expected "
                "TensorFlow operations only: no tf.py_function or tf.numpy_function in a model's scoring."
            )
        # Generated with the build; an operation that a library brought is not among them.
        if not hasattr(tf.raw_ops, node.op) and not node.op.startswith("_"):
            raise DataError(
                f"The graph has the operation {node.op} ('{node.name}' in {place}), which standard TensorFlow Serving does "
                "not have."
            )
        if node.op == "Const" and node.ByteSize() > _LARGEST_CONSTANT:
            raise DataError(
                f"The graph holds {node.ByteSize():,} bytes as a constant ('{node.name}' in {place}), and a graph stops at "
                "2 GB. Expected tables as variables: make it a weight of the model."
            )


def _nodes(model: saved_model_pb2.SavedModel) -> Iterator[tuple[str, node_def_pb2.NodeDef]]:
    for meta_graph in model.meta_graphs:
        graph = meta_graph.graph_def
        yield from (("the main graph", node) for node in graph.node)
        for function in graph.library.function:
            yield from ((f"function {function.signature.name}", node) for node in function.node_def)
