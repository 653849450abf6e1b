"""Answers requests in a process that has TensorFlow only: neither tfadt nor Keras can be imported in it.

Run as a file: `python -I tensorflow_only.py MODEL_DIR CASES ANSWERS`. Cases lie in TFRecords of NamedTensorProto, each named
"case<TAB>signature<TAB>role<TAB>tensor" with the role `input` or `output`; loader_check.cc reads the same files.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

HIDDEN = frozenset({"tfadt", "keras", "tf_keras", "tensorflow_recommenders"})


@dataclass
class Case:
    """A request to a signature, and the answer that it gets or should get; none where it was refused or is not known."""

    name: str
    signature: str
    inputs: dict[str, Any]
    outputs: dict[str, Any] = field(default_factory=dict)


def write_cases(path: str, cases: Iterable[Case]) -> None:
    """Writes a case file."""
    import tensorflow as tf
    from tensorflow.core.protobuf import named_tensor_pb2

    with tf.io.TFRecordWriter(path) as writer:
        for case in cases:
            for role, tensors in (("input", case.inputs), ("output", case.outputs)):
                for key, value in tensors.items():
                    record = named_tensor_pb2.NamedTensorProto(name="\t".join((case.name, case.signature, role, key)))
                    record.tensor.CopyFrom(tf.make_tensor_proto(value))
                    writer.write(record.SerializeToString())


def read_cases(path: str) -> list[Case]:
    """Reads a case file."""
    import tensorflow as tf
    from tensorflow.core.protobuf import named_tensor_pb2

    cases: dict[str, Case] = {}
    for raw in tf.data.TFRecordDataset(path).as_numpy_iterator():
        record = named_tensor_pb2.NamedTensorProto.FromString(raw)
        name, signature, role, key = record.name.split("\t")
        case = cases.setdefault(name, Case(name, signature, {}))
        (case.inputs if role == "input" else case.outputs)[key] = tf.make_ndarray(record.tensor)
    return list(cases.values())


class _Hiding:
    """A finder of modules that does not see the hidden ones."""

    def __init__(self, finder: Any):
        self._finder = finder

    def find_spec(self, name: str, *rest: Any) -> Any:
        return None if name.partition(".")[0] in HIDDEN else self._finder.find_spec(name, *rest)


def main(model_dir: str, cases_path: str, answers_path: str) -> None:
    """Loads a model and answers the cases; those that the graph refuses are left without outputs."""
    sys.meta_path[:] = [_Hiding(finder) for finder in sys.meta_path if hasattr(finder, "find_spec")]
    import tensorflow as tf

    served = tf.saved_model.load(model_dir)
    cases = read_cases(cases_path)
    for case in cases:
        try:
            answer = served.signatures[case.signature](**{k: tf.constant(v) for k, v in case.inputs.items()})
            case.outputs = {key: value.numpy() for key, value in answer.items()}
        except tf.errors.InvalidArgumentError:
            case.outputs = {}
    imported = sorted(HIDDEN & sys.modules.keys())
    if imported:
        raise SystemExit(f"imported {', '.join(imported)}")
    write_cases(answers_path, cases)


if __name__ == "__main__":
    main(*sys.argv[1:])
