"""What a server needs beside the versions: model config with labels, batching parameters, and the lines that start it.

They lie in `NAME/server/`, which a server that watches `NAME` ignores, and are written anew with each version.
"""

from __future__ import annotations

from collections.abc import Collection

from tfadt.serving.contract import SIGNATURES

_MODELS_CONFIG = """\
# The largest version answers requests that name none. A label moves with the next version; a server started with
# --model_config_file_poll_wait_seconds reads this file again. Three versions stay loaded: what
# "stable" named until then still answers.
model_config_list {{
  config {{
    name: "{name}"
    base_path: "/models/{name}"
    model_platform: "tensorflow"
    model_version_policy {{ latest {{ num_versions: 3 }} }}
    version_labels {{ key: "stable" value: {stable} }}
    version_labels {{ key: "canary" value: {canary} }}
  }}
}}
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
    "--model_config_file=/models/{name}/server/models.config",
    "--model_config_file_poll_wait_seconds=60",
    "--allow_version_labels_for_unavailable_models",
)

_BATCHING_FLAGS = (
    "--enable_batching",
    "--batching_parameters_file=/models/{name}/server/batching.config",
)

_DOCKER_RUN = """\
#!/bin/sh
# Serves gRPC on port 8500 and REST on 8501. The image must have TensorFlow {tensorflow} or newer.
# Flags given to this script go to the server too.
{batching}# In quotes, as in CSV: a path may have commas.
here="$(cd "$(dirname "$0")/.." && pwd | sed 's/"/""/g')"
exec docker run --rm -p 8500:8500 -p 8501:8501 \\
  --mount "type=bind,\\"source=$here\\",target=/models/{name},readonly" \\
  {image} \\
  {flags} "$@"
"""

_COMPOSE = """\
# docker compose up: gRPC on port 8500, REST on 8501. The image must have TensorFlow {tensorflow} or newer.
{batching}services:
  "{name}":
    image: {image}
    command:
{flags}
    ports:
      - "8500:8500"
      - "8501:8501"
    volumes:
      - type: bind
        source: ..
        target: /models/{name}
        read_only: true
"""


_NOT_BATCHED = """\
# Batching is off: {signatures} take lists of any width, and two requests of
# different widths in one batch fail together. Where all clients pad their lists to one width, add:
# {flags}
"""


def server_files(name: str, versions: Collection[int], tensorflow: str, signatures: Collection[str]) -> dict[str, str]:
    """Returns file name -> content.

    Args:
        name: The model's name.
        versions: The versions that are there, ascending, at least one. `canary` is the newest, `stable` the one before.
        tensorflow: Version of TensorFlow that wrote the newest.
        signatures: Those of the newest. With one whose width a request chooses, the server does not batch by default.
    """
    image = f"tensorflow/serving:{tensorflow}"
    flags, batching_flags = ([flag.format(name=name) for flag in some] for some in (_FLAGS, _BATCHING_FLAGS))
    wide = [signature for signature in signatures if _has_free_width(signature)]
    batching = _NOT_BATCHED.format(signatures=", ".join(wide), flags=" ".join(batching_flags)) if wide else ""
    flags += [] if wide else batching_flags
    return {
        "models.config": _MODELS_CONFIG.format(name=name, stable=sorted(versions)[-2:][0], canary=max(versions)),
        "batching.config": _BATCHING,
        "docker-run.sh": _DOCKER_RUN.format(
            name=name, image=image, tensorflow=tensorflow, batching=batching, flags=" \\\n  ".join(flags)
        ),
        "docker-compose.yml": _COMPOSE.format(
            name=name,
            image=image,
            tensorflow=tensorflow,
            batching=batching,
            flags="\n".join(f"      - {flag}" for flag in flags),
        ),
    }


def _has_free_width(signature: str) -> bool:
    known = SIGNATURES.get(signature)
    return known is not None and any(port.columns == "any" for port in known.inputs.values())
