"""What a server needs beside the versions: model config with labels, batching parameters, and the lines that start it.

They lie in `server/` beside the models that one server serves, and are written anew with each version of one of them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from tfadt.serving.contract import SIGNATURES
from tfadt.serving.versions import SERVER

_MODELS_CONFIG = """\
# The largest version of a model answers requests that name neither version nor label. A server started with
# --model_config_file_poll_wait_seconds reads this file again: then labels move. What they named until then is still loaded.
model_config_list {{
{models}}}
"""

_MODEL = """\
  config {{
    name: "{name}"
    base_path: "/models/{name}"
    model_platform: "tensorflow"
    model_version_policy {{ latest {{ num_versions: {loaded} }} }}
{labels}  }}
"""

_LABEL = """\
    version_labels {{ key: "{label}" value: {version} }}
"""

_BATCHING = """\
# Requests that arrive within a millisecond are answered together; one of up to 1,024 rows is split into batches of 32.
# pad_variable_length_inputs stays off: the server would pad exclude_item_ids with its first id and leave that item out for
# everybody; clients pad with "" to one width instead.
max_batch_size { value: 1024 }
enable_large_batch_splitting { value: true }
max_execution_batch_size { value: 32 }
batch_timeout_micros { value: 1000 }
max_enqueued_batches { value: 100 }
num_batch_threads { value: 4 }
"""

_FLAGS = (
    "--model_config_file=/models/{server}/models.config",
    "--model_config_file_poll_wait_seconds=60",
    "--allow_version_labels_for_unavailable_models",
)

_BATCHING_FLAGS = (
    "--enable_batching",
    "--batching_parameters_file=/models/{server}/batching.config",
)

_DOCKER_RUN = """\
#!/bin/sh
# Serves gRPC on port 8500 and REST on 8501. The image must have TensorFlow {tensorflow} or newer.
# Flags given to this script go to the server too.
{batching}# In quotes, as in CSV: a path may have commas.
here="$(cd "$(dirname "$0")/.." && pwd | sed 's/"/""/g')"
exec docker run --rm -p 8500:8500 -p 8501:8501 \\
  --mount "type=bind,\\"source=$here\\",target=/models,readonly" \\
  {image} \\
  {flags} "$@"
"""

_COMPOSE = """\
# docker compose up: gRPC on port 8500, REST on 8501. The image must have TensorFlow {tensorflow} or newer.
{batching}services:
  tensorflow-serving:
    image: {image}
    command:
{flags}
    ports:
      - "8500:8500"
      - "8501:8501"
    volumes:
      - type: bind
        source: ..
        target: /models
        read_only: true
"""


_NOT_BATCHED = """\
# Batching is off: {signatures} take lists of any width, and two requests of
# different widths in one batch fail together. Where all clients pad their lists to one width, add:
# {flags}
"""


@dataclass(frozen=True)
class ModelEntry:
    """What a server is to know of a model.

    Attributes:
        name: Its name.
        labels: Label -> version.
        loaded: How many of the newest versions are kept loaded.
        tensorflow: Version of TensorFlow that wrote the newest.
        signatures: Those of the newest.
    """

    name: str
    labels: Mapping[str, int]
    loaded: int
    tensorflow: str
    signatures: Collection[str]

    @classmethod
    def of(cls, metadata: Mapping[str, Any], versions: Collection[int], labels: Mapping[str, int]) -> ModelEntry:
        """Returns the model whose newest version says of itself what `metadata` holds.

        Every version that has a label stays loaded while the next one is there and this is not read yet.
        """
        loaded = 1 + sum(version >= min(labels.values()) for version in versions)
        return cls(metadata["name"], labels, max(3, loaded), metadata["tensorflow"], metadata["signatures"])


def server_files(models: Collection[ModelEntry]) -> dict[str, str]:
    """Returns file name -> content.

    With a signature whose width a request chooses, the server does not batch by default. The image is that of the newest
    TensorFlow among the models.

    Args:
        models: Those that one server serves, at least one.
    """
    tensorflow = max((model.tensorflow for model in models), key=lambda text: tuple(map(int, text.split(".")[:2])))
    image = f"tensorflow/serving:{tensorflow}"
    flags, batching_flags = ([flag.format(server=SERVER) for flag in some] for some in (_FLAGS, _BATCHING_FLAGS))
    wide = sorted({signature for model in models for signature in model.signatures if _has_free_width(signature)})
    batching = _NOT_BATCHED.format(signatures=", ".join(wide), flags=" ".join(batching_flags)) if wide else ""
    flags += [] if wide else batching_flags
    return {
        "models.config": _MODELS_CONFIG.format(models="".join(map(_model_config, models))),
        "batching.config": _BATCHING,
        "docker-run.sh": _DOCKER_RUN.format(
            image=image, tensorflow=tensorflow, batching=batching, flags=" \\\n  ".join(flags)
        ),
        "docker-compose.yml": _COMPOSE.format(
            image=image,
            tensorflow=tensorflow,
            batching=batching,
            flags="\n".join(f"      - {flag}" for flag in flags),
        ),
    }


def _model_config(model: ModelEntry) -> str:
    labels = "".join(_LABEL.format(label=label, version=version) for label, version in model.labels.items())
    return _MODEL.format(name=model.name, loaded=model.loaded, labels=labels)


def _has_free_width(signature: str) -> bool:
    known = SIGNATURES.get(signature)
    return known is not None and any(port.columns == "any" for port in known.inputs.values())
