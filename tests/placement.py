"""Which ops of a traced function TensorFlow would place on the host although a GPU is there: told from its kernel registry.

The standard wheel registers the kernels of GPUs even where there is none, each with its types (`constraint`) and the
arguments it wants in host memory (`host_memory_arg`): an op may have a kernel for int64 and, for int32, none or one on the
host.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tensorflow.core.framework import node_def_pb2, types_pb2
from tensorflow.python.framework import kernels

# Arguments that belong on the host: shapes, axes, sizes and positions of slices, numbers of things, handles of variables.
_DESCRIBING = {
    ("ArgMax", "dimension"),
    ("BroadcastTo", "shape"),
    *((f"Collective{op}V2", key) for op in ("Gather", "Reduce") for key in ("group_key", "group_size", "instance_key")),
    ("ConcatOffset", "concat_dim"),
    ("ConcatV2", "axis"),
    ("Cumsum", "axis"),
    ("ExpandDims", "dim"),
    ("Fill", "dims"),
    ("GatherV2", "axis"),
    ("Pad", "paddings"),
    ("ResourceGather", "resource"),
    ("ResourceScatterNdUpdate", "ref"),
    *(("TensorListConcatV2", argument) for argument in ("element_shape", "leading_dims", "lengths")),
    *(("ResourceApplyAdam", handle) for handle in ("var", "m", "v")),
    ("Reshape", "shape"),
    ("ScatterNd", "shape"),
    ("Slice", "begin"),
    ("Slice", "size"),
    ("SparseSegmentSumWithNumSegments", "num_segments"),
    ("Split", "split_dim"),
    ("SplitV", "size_splits"),
    ("SplitV", "split_dim"),
    ("StridedSlice", "begin"),
    ("StridedSlice", "end"),
    ("StridedSlice", "strides"),
    *(("StridedSliceGrad", argument) for argument in ("begin", "end", "strides", "shape")),
    ("TensorListFromTensor", "element_shape"),
    ("TensorListGetItem", "element_shape"),
    ("TensorListGetItem", "index"),
    ("TensorListReserve", "element_shape"),
    ("TensorListReserve", "num_elements"),
    ("TensorListSetItem", "index"),
    ("TensorListStack", "element_shape"),
    ("TensorStridedSliceUpdate", "begin"),
    ("TensorStridedSliceUpdate", "end"),
    ("TensorStridedSliceUpdate", "strides"),
    ("Tile", "multiples"),
    ("TopKV2", "k"),
    ("Transpose", "perm"),
    *((f"UnsortedSegment{op}", "num_segments") for op in ("Max", "Sum")),
    *((op, "reduction_indices") for op in ("All", "Any", "Max", "Mean", "Sum", "Prod")),
    # Outputs that are shapes.
    ("ConcatOffset", "offset"),
    ("ConcatOffset", "shape"),
    ("Shape", "output"),
    ("ShapeN", "output"),
    ("Size", "output"),
    # Lists of tensors: the handle is on the host, the tensors in it are not.
    ("TensorListFromTensor", "output_handle"),
    ("TensorListGetItem", "input_handle"),
    ("TensorListReserve", "handle"),
    ("TensorListSetItem", "input_handle"),
    ("TensorListSetItem", "output_handle"),
    ("TensorListStack", "input_handle"),
}
# These take shapes and give axes, or are control flow and variables, which move no data to the host by themselves: their
# bodies are looked at node by node.
_STRUCTURE = {
    "BroadcastGradientArgs",
    "NoOp",
    "Placeholder",
    "VarHandleOp",
    *("If", "StatelessIf", "While", "StatelessWhile", "PartitionedCall", "StatefulPartitionedCall"),
    *("AssignVariableOp", "AssignAddVariableOp", "AssignSubVariableOp", "ReadVariableOp"),
    *("ResourceScatterUpdate", "VariableShape"),
}
_SMALL = 16


def nodes(function: Any) -> Iterator[tuple[str, node_def_pb2.NodeDef]]:
    """Yields every node of a concrete function and of the functions that it calls, with a name to find it by."""
    graph = function.graph.as_graph_def(add_shapes=True)
    yield from (("", node) for node in graph.node)
    for called in graph.library.function:
        yield from ((called.signature.name, node) for node in called.node_def)


def on_host(function: Any) -> list[str]:
    """Returns a line for each op that would run on the host, or move more than a few numbers there."""
    found = []
    for where, node in nodes(function):
        if node.op in _STRUCTURE or _is_small(node) or _is_length(node):
            continue
        registered = kernels.get_registered_kernels_for_op(node.op).kernel
        fitting = [k for k in registered if k.device_type in ("GPU", "DEFAULT") and _fits(k, node)]
        if not fitting:
            found.append(f"{node.op}: no kernel for a GPU ({_types(node)}): {where}/{node.name}")
        elif stray := set.intersection(*(_strays(k, node) for k in fitting)):
            found.append(f"{node.op}: {', '.join(sorted(stray))} on the host ({_types(node)}): {where}/{node.name}")
    return found


def _fits(kernel: Any, node: node_def_pb2.NodeDef) -> bool:
    return all(node.attr[c.name].type in c.allowed_values.list.type for c in kernel.constraint if c.name in node.attr)


def _strays(kernel: Any, node: node_def_pb2.NodeDef) -> set[str]:
    return {argument for argument in kernel.host_memory_arg if (node.op, argument) not in _DESCRIBING}


def _is_small(node: node_def_pb2.NodeDef) -> bool:
    """Whether all that comes out is known to be a few numbers: counters, shapes, settings."""
    shapes = node.attr["_output_shapes"].list.shape
    if not shapes:
        return False
    for shape in shapes:
        size = 1
        for dim in shape.dim:
            size = -1 if dim.size < 0 else size * dim.size
            if size < 0:
                return False
        if shape.unknown_rank or size > _SMALL:
            return False
    return True


def _is_length(node: node_def_pb2.NodeDef) -> bool:
    """Whether this is how many rows each device gives to a gather: as int32 it is on the host, where a size belongs."""
    return node.op == "StridedSlice" and "allgather" in node.name and node.attr["T"].type == types_pb2.DT_INT32


def _types(node: node_def_pb2.NodeDef) -> str:
    from tensorflow import dtypes

    return ", ".join(f"{name} {dtypes.as_dtype(a.type).name}" for name, a in sorted(node.attr.items()) if a.type)
