"""The same pipeline for Kubeflow Pipelines v2: every step a lightweight Python component, joined by typed artifacts.

Needs the extra `kubeflow`. A step's code in the compiled pipeline is a few lines that call tfadt, which the image brings:
nothing is installed at run time. The graph has no conditions and no loops: whether a model is pushed is decided inside
`push`, which reads the blessing.
"""

from __future__ import annotations

import inspect
import json
import keyword
import linecache
import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

from kfp import compiler, dsl, kubernetes

from tfadt._version import __version__
from tfadt.components.artifacts.base import Artifact
from tfadt.components.component import Step
from tfadt.components.tune import tune
from tfadt.config import Config
from tfadt.config.pipeline import KubeflowConfig, Resources
from tfadt.errors import ConfigError, DataError, did_you_mean
from tfadt.pipelines.kubeflow_types import kubeflow_type
from tfadt.pipelines.pipeline import Pipeline
from tfadt.pipelines.records import Digests

_ACCELERATOR = "nvidia.com/gpu"
_BODY = """\
def {function}({arguments}):
    from tfadt.pipelines.kubeflow_step import run_step
    run_step(
        {component!r},
        tfadt_version,
        parameters={{{parameters}}},
        inputs={{{inputs}}},
        outputs={{{outputs}}},
        previous={{{previous}}},
{shared}    )
"""
_WORKER = """\
def {function}(tfadt_version: str, run_id: str):
    from tfadt.pipelines.kubeflow_step import run_worker
    run_worker(tfadt_version, {shared!r}, run_id)
"""
_CHIEF_PORT = "8000"
"""A container has an address of its own, so no other process uses the port there."""


def compile_pipeline(pipeline: Pipeline, path: Path, settings: KubeflowConfig) -> None:
    """Writes a pipeline as v2 intermediate representation (YAML), ready to be uploaded.

    Args:
        pipeline: What to compile.
        path: The file.
        settings: Image and resources.

    Raises:
        ConfigError: If the file cannot be written, a step with resources of its own does not exist, there is no search whose
            trials could be made at once, or two steps are one on Kubeflow, whose names know no case and no dots.
    """
    if path.suffix not in (".yaml", ".yml"):
        raise ConfigError(f"The compiled pipeline is YAML: its name must end in .yaml. Received: '{path}'.")
    graph = kubeflow_pipeline(pipeline, settings)
    try:
        compiler.Compiler().compile(graph, str(path))
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror or error}.") from error


def check_places(config: Config) -> None:
    """Raises ConfigError for a relative path: a container has a working directory of its own."""
    ingest = config.ingest
    named = ("data", "train", "valid", "test")
    places = [(f"ingest.{name}", path) for name in named for path in getattr(ingest, name) or ()]
    places += [("ingest.manual_dir", ingest.manual_dir), ("ingest.extra_feedback.file", ingest.extra_feedback.file)]
    places += [("adt.start_from", config.adt.start_from), ("push.to", config.push.to)]
    for name, place in places:
        if place is not None and "://" not in str(place) and not Path(place).is_absolute():
            raise ConfigError(
                f"On Kubeflow each step runs in a container of its own. Expected for {name} an absolute path that the "
                f"containers share, or for push.to a URI. Received: '{place}'."
            )


def kubeflow_pipeline(pipeline: Pipeline, settings: KubeflowConfig) -> Any:
    """Returns a pipeline as Kubeflow's own object, which also runs locally (`kfp.local`).

    Its parameters: `tfadt_version`, part of every step's cache key and checked against the image's; `data_version`, a text
    to be changed when data at the same place have changed (by default the digest of the files, where they can be read
    now); and for each step that compares itself with an earlier run, the folder of that run's output.

    Args:
        pipeline: What to convert.
        settings: Image and resources.
    """
    functions = {step.name: _identifier(step.name) for step in pipeline}
    for name in settings.resources:
        if name not in functions:
            raise ConfigError(f"Setting 'kubeflow.resources.{name}': there is no such step.{did_you_mean(name, functions)}")
    if len(set(functions.values())) < len(functions):
        raise ConfigError(f"Two steps have one name on Kubeflow. Received: {', '.join(functions)}.")
    if settings.trials_in_parallel > 1 and all(step.component is not tune for step in pipeline):
        raise ConfigError(
            "Setting 'kubeflow.trials_in_parallel': this pipeline has no search. Expected pipeline.search = true, or 1. "
            f"Received: {settings.trials_in_parallel}."
        )
    earlier = {f"{functions[s.name]}_{name}": "" for s in pipeline for name in s.component.signature.previous}
    defaults = {"tfadt_version": __version__, "data_version": _data_version(pipeline), **earlier}

    def graph(*values: Any) -> None:
        given = dict(zip(defaults, values, strict=True))
        tasks: dict[str, Any] = {}
        for step in pipeline:
            tasks[step.name] = _task(step, functions[step.name], tasks, given, settings)

    # Kubeflow reads the parameters off the signature.
    graph.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter(n, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=v, annotation=str)
            for n, v in defaults.items()
        ]
    )
    graph.__name__ = _identifier(pipeline.name)
    return dsl.pipeline(name=_identifier(pipeline.name).replace("_", "-"))(graph)


def step_source(step: Step, function: str, shared: str | None = None) -> str:
    """Returns the code of a step's lightweight component.

    Args:
        step: The step.
        function: Its name as Kubeflow knows it.
        shared: Where other containers find its work folder; None where they need not.
    """
    signature = step.component.signature
    arguments = [f"{name}: Input[{kubeflow_type(signature.inputs[name].type).__name__}]" for name in step.inputs]
    arguments += [f"{name}: Output[{kubeflow_type(kind).__name__}]" for name, kind in signature.outputs.items()]
    arguments += [f"{name}: str" for name in (*step.parameters, *signature.previous, "tfadt_version", "data_version")]
    arguments += [] if shared is None else ["run_id: str"]

    def pairs(names: Any, suffix: str = "") -> str:
        return ", ".join(f"{name!r}: {name}{suffix}" for name in names)

    return _BODY.format(
        function=function,
        arguments=", ".join(arguments),
        component=step.component.path,
        parameters=pairs(step.parameters),
        inputs=pairs(step.inputs, ".path"),
        outputs=pairs(signature.outputs),
        previous=pairs(signature.previous),
        shared="" if shared is None else f"        shared={shared!r},\n        run_id=run_id,\n",
    )


def _meeting_place(step: Step, function: str, settings: KubeflowConfig) -> str | None:
    """Returns where the chief and the workers of a step meet; None for a step that has no workers."""
    if step.component is not tune or settings.trials_in_parallel == 1:
        return None
    return str(PurePosixPath(next(iter(settings.volumes.values()))) / f"tfadt-{function}")


def _task(step: Step, function: str, tasks: dict[str, Any], given: dict[str, Any], settings: KubeflowConfig) -> Any:
    shared = _meeting_place(step, function, settings)
    make = _component(_function(step, function, shared), settings)
    arguments: dict[str, Any] = {name: tasks[ref.step].outputs[ref.output] for name, ref in step.inputs.items()}
    arguments |= {name: json.dumps(value) for name, value in step.parameters_as_json().items()}
    arguments |= {name: given[f"{function}_{name}"] for name in step.component.signature.previous}
    if shared is not None:
        arguments["run_id"] = dsl.PIPELINE_JOB_ID_PLACEHOLDER
    # Only what reads files outside the pipeline depends on them: other steps see new data by their inputs.
    data_version = given["data_version"] if step.component.reads is not None else ""
    task = make(**arguments, tfadt_version=given["tfadt_version"], data_version=data_version)
    for name in step.waits_for:
        task.after(tasks[name])
    task.set_display_name(step.name)
    # Whether an output that tells of the world outside still holds, Kubeflow's cache cannot know. Nor is a chief taken from
    # it, or a worker: the others would wait.
    outputs = step.component.signature.outputs.values()
    task.set_caching_options(shared is None and all(kind.is_current is Artifact.is_current for kind in outputs))
    resources = settings.of_step(step.name, step.component.accelerated)
    if shared is not None:
        resources = resources.model_copy(update={"accelerators": 0})  # it trains nothing
        task.set_env_variable("KERASTUNER_TUNER_ID", "chief").set_env_variable("KERASTUNER_ORACLE_PORT", _CHIEF_PORT)
        kubernetes.use_field_path_as_env(task, "KERASTUNER_ORACLE_IP", "status.podIP")
        _add_workers(step, f"{function}_worker", tasks, given, settings, shared)
    _equip(task, step, resources, settings)
    return task


def _add_workers(
    step: Step, name: str, tasks: dict[str, Any], given: dict[str, Any], settings: KubeflowConfig, shared: str
) -> None:
    """Adds the tasks that make the trials of a search whose step hands them out; all they need lies in the shared folder."""
    source = _WORKER.format(function=name, shared=shared)
    make = _component(_defined(source, name, {}, f"Makes trials for the step {step.name}."), settings)
    for number in range(1, settings.trials_in_parallel + 1):
        task = make(tfadt_version=given["tfadt_version"], run_id=dsl.PIPELINE_JOB_ID_PLACEHOLDER)
        for before in step.upstream:
            task.after(tasks[before])
        task.set_display_name(f"{step.name}: worker {number}")
        task.set_caching_options(False)
        _equip(task, step, settings.of_step(step.name, step.component.accelerated), settings)


def _equip(task: Any, step: Step, resources: Resources, settings: KubeflowConfig) -> None:
    """Gives a task of a step what the settings say that it gets."""
    retries = step.component.retries if settings.retries is None else settings.retries
    if retries:
        task.set_retry(num_retries=retries, backoff_duration="60s")
    _give_resources(task, resources)
    for name, text in settings.environment.items():
        task.set_env_variable(name, text)
    for secret, variables in settings.secrets.items():
        kubernetes.use_secret_as_env(task, secret, variables)
    for claim, place in settings.volumes.items():
        kubernetes.mount_pvc(task, claim, place)


def _give_resources(task: Any, resources: Resources) -> None:
    if resources.cpu is not None:
        task.set_cpu_limit(resources.cpu)
    if resources.memory is not None:
        task.set_memory_limit(resources.memory)
    if resources.accelerators:
        task.set_accelerator_type(resources.accelerator_type or _ACCELERATOR).set_accelerator_limit(resources.accelerators)


def _component(function: Callable[..., None], settings: KubeflowConfig) -> Any:
    return dsl.component(function, base_image=settings.image, packages_to_install=[], install_kfp_package=False)


def _function(step: Step, name: str, shared: str | None) -> Callable[..., None]:
    """Makes the function of a step."""
    signature = step.component.signature
    kinds = [spec.type for spec in signature.inputs.values()] + list(signature.outputs.values())
    names: dict[str, Any] = {kubeflow_type(kind).__name__: kubeflow_type(kind) for kind in kinds}
    names |= {"Input": dsl.Input, "Output": dsl.Output}
    return _defined(step_source(step, name, shared), name, names, step.component.function.__doc__)


def _defined(source: str, name: str, names: dict[str, Any], doc: str | None) -> Callable[..., None]:
    """Makes a function whose source Kubeflow copies into the pipeline."""
    file = f"<step {name}>"
    # `inspect.getsource`, with which Kubeflow reads it, looks here for code that has no file.
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    exec(compile(source, file, "exec", dont_inherit=True), names)
    function: Callable[..., None] = names[name]
    function.__doc__ = doc
    return function


def _data_version(pipeline: Pipeline) -> str:
    try:
        files = [path for step in pipeline for path in step.files()]
    except DataError:  # A log that lies where the containers see it, and not here, is checked there.
        return ""
    if not all(path.exists() for path in files):
        return ""
    return " ".join(Digests(Path()).of_path(path) for path in files)


def _identifier(name: str) -> str:
    """Returns a name that Python and Kubeflow both take."""
    found = re.sub(r"\W", "_", name.lower()).strip("_")
    return f"step_{found}" if not found or found[0].isdigit() or keyword.iskeyword(found) else found
