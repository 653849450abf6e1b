"""A stand-in that speaks TensorFlow Serving's REST and gRPC predict protocols, to run the documented clients against.

It is no TensorFlow Serving: it shows that the clients send and read what the protocols say, not that a server answers.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from tfadt.serving.requests import answer


@contextmanager
def stand_in(version: Path) -> Iterator[tuple[int, int]]:
    """Serves a version; yields the ports of gRPC and REST."""
    served = tf.saved_model.load(str(version))
    predict = re.compile(rf"/v1/models/{version.parent.name}(/labels/(stable|canary))?:predict")

    class Rest(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            columns = body["inputs"] if "inputs" in body else _columns(body["instances"])
            request = {key: np.array(value, object) for key, value in columns.items()}
            found = answer(served.signatures[body.get("signature_name", "serving_default")], request)
            outputs = {key: _plain(value) for key, value in found.items()}
            rows = [dict(zip(outputs, row, strict=True)) for row in zip(*outputs.values(), strict=True)]
            text = json.dumps({"outputs": outputs} if "inputs" in body else {"predictions": rows}).encode()
            self.send_response(200 if predict.fullmatch(self.path) else 404)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: Any) -> None:
            pass

    class Grpc(prediction_service_pb2_grpc.PredictionServiceServicer):
        def Predict(self, request: Any, context: Any) -> Any:
            assert request.model_spec.name == version.parent.name
            tensors = {key: tf.make_ndarray(proto) for key, proto in request.inputs.items()}
            response = predict_pb2.PredictResponse()
            for key, value in answer(served.signatures[request.model_spec.signature_name], tensors).items():
                response.outputs[key].CopyFrom(tf.make_tensor_proto(value))
            return response

    rest = ThreadingHTTPServer(("127.0.0.1", 0), Rest)
    thread = threading.Thread(target=rest.serve_forever)
    thread.start()
    server = grpc.server(futures.ThreadPoolExecutor(2))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Grpc(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield port, rest.server_port
    finally:
        server.stop(None)
        rest.shutdown()
        rest.server_close()
        thread.join()


def _columns(instances: list[dict[str, Any]]) -> dict[str, list[Any]]:
    return {key: [instance[key] for instance in instances] for key in instances[0]}


def _plain(value: np.ndarray) -> Any:
    return np.vectorize(bytes.decode, otypes=[object])(value).tolist() if value.dtype == object else value.tolist()
