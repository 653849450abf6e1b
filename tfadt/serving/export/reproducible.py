"""Makes the graph of an export a matter of the model alone, so that two exports of one run are equal byte for byte.

TensorFlow numbers functions, and inputs that it captures, by a count of all that the process has made, draws the names under
which tables are shared, and writes functions in an order that differs from process to process.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from pathlib import Path
from typing import Any

from google.protobuf.message import Message
from tensorflow.core.framework import attr_value_pb2, function_pb2, graph_pb2, node_def_pb2, tensor_pb2

from tfadt.serving.export.graph_check import read_saved_model

_NUMBERED = re.compile(r"(.+_)(\d+)")
_NUMBERS = ("shared_name", "_user_specified_name")  # attributes that are a number alone where nobody gave a name
_GRADIENT = "_gradient_op_type"  # names a gradient of Python's by a count; a server takes none
_FINGERPRINT = "fingerprint.pb"


def make_reproducible(folder: Path) -> None:
    """Names and orders the functions and tables of an export by their place among those of the export.

    What TensorFlow says of the file in `fingerprint.pb`, with a random number in it, is removed: no loader needs it, and
    `tfadt.json` has the SHA-256 of each file.

    Raises:
        DataError: If there is no export, or it is damaged.
        OSError: If it cannot be written.
    """
    model = read_saved_model(folder)
    for meta_graph in model.meta_graphs:
        _rename(meta_graph)
        meta_graph.graph_def.library.function.sort(key=lambda function: function.signature.name)
    (folder / "saved_model.pb").write_bytes(model.SerializeToString(deterministic=True))
    (folder / _FINGERPRINT).unlink(missing_ok=True)


def _rename(meta_graph: Any) -> None:
    graph = meta_graph.graph_def
    functions = _in_order(graph, meta_graph.object_graph_def)
    for node in (*graph.node, *(node for function in functions for node in function.node_def)):
        node.attr.pop(_GRADIENT, None)
    places: dict[bytes, bytes] = {}
    for value in _numbers(graph.node, functions):
        value.s = places.setdefault(value.s, str(len(places)).encode())
    names = {}
    for place, function in enumerate(functions):
        if (match := _NUMBERED.fullmatch(function.signature.name)) is not None:
            names[match[0]] = f"{match[1]}{place}"
    # Also inside of a name: inputs of a loop's condition are named after it.
    named = re.compile(rf"({'|'.join(map(re.escape, names))})(?!\d)" if names else r"(?!)")
    _change_texts(meta_graph, lambda text: named.sub(lambda match: names[match[0]], text))


def _in_order(graph: graph_pb2.GraphDef, objects: Any) -> list[function_pb2.FunctionDef]:
    """Returns the functions in the order in which the graph, the objects, and then these functions themselves name them.

    Their numbers are no order: a function that an earlier export has made already is not made again.
    """
    functions = {function.signature.name: function for function in graph.library.function}
    named = _called(graph.node)
    for each in objects.nodes:
        named += [*each.function.concrete_functions, each.bare_concrete_function.concrete_function_name]
    found: dict[str, function_pb2.FunctionDef] = {}
    while named:
        new = {name: functions[name] for name in named if name in functions and name not in found}
        found |= new
        named = [name for function in new.values() for name in _called(function.node_def)]
    return list(found.values()) + [functions[name] for name in sorted(functions.keys() - found.keys())]


def _called(nodes: Iterable[node_def_pb2.NodeDef]) -> list[str]:
    values = [node.attr[name] for node in nodes for name in sorted(node.attr)]
    return [function.name for value in values for function in (value.func, *value.list.func)]


def _numbers(
    nodes: Iterable[node_def_pb2.NodeDef], functions: Iterable[function_pb2.FunctionDef]
) -> Iterator[attr_value_pb2.AttrValue]:
    """Yields the attributes of nodes and of the inputs of functions that stand for a name and are a number."""
    attributes = [node.attr for node in nodes]
    for function in functions:
        attributes += [function.arg_attr[place].attr for place in sorted(function.arg_attr)]
        attributes += [node.attr for node in function.node_def]
    for attribute in attributes:
        for name in _NUMBERS:
            if name in attribute and attribute[name].s.isdigit():
                yield attribute[name]


def _change_texts(message: Message, change: Callable[[str], str]) -> None:
    """Changes all texts of a message, and the bytes that are one, in place; the content of tensors is none."""
    for field, value in message.ListFields():
        if isinstance(value, Message):
            if not isinstance(value, tensor_pb2.TensorProto):
                _change_texts(value, change)
        elif isinstance(value, MutableMapping):
            _change_map(value, change)
        elif isinstance(value, str | bytes):
            setattr(message, field.name, _changed(value, change))
        elif not isinstance(value, bool | int | float):
            for place, part in enumerate(value):
                if isinstance(part, Message):
                    _change_texts(part, change)
                elif isinstance(part, str | bytes):
                    value[place] = _changed(part, change)


def _change_map(entries: Any, change: Callable[[str], str]) -> None:
    content = []
    for key, value in entries.items():
        if isinstance(value, Message):
            copy = type(value)()
            copy.CopyFrom(value)
            _change_texts(copy, change)
            value = copy
        content.append((_changed(key, change), _changed(value, change)))
    entries.clear()
    for key, value in content:
        if isinstance(value, Message):
            entries[key].CopyFrom(value)
        else:
            entries[key] = value


def _changed(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, bytes):
        return change(value.decode("latin-1")).encode("latin-1")  # which has a character for each byte
    return change(value) if isinstance(value, str) else value
