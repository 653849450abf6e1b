"""The `@component` decorator: a function with typed inputs, outputs and parameters becomes a stage of a pipeline.

    @component
    def evaluate(
        interactions: Input[Interactions],
        model: Input[Model],
        evaluation: Output[Evaluation],
        settings: Parameter[EvaluateConfig],
    ) -> None:
        ...

Calling the component does not run the function: it makes a `Step`, whose outputs go to further components.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, overload

from tfadt.components.artifacts.base import Artifact
from tfadt.components.signature import Signature, read_signature
from tfadt.errors import ConfigError, did_you_mean

Function = Callable[..., None]


@dataclass(frozen=True)
class OutputRef:
    """An output of a step, by names: what another step's input is joined to."""

    step: str
    output: str


@dataclass(frozen=True)
class Component:
    """A stage: its function and what the function's signature says.

    Attributes:
        function: The body.
        signature: Its inputs, outputs and parameters.
        reads: Given the parameters that it names, returns the files outside the pipeline whose content decides the result.
        check: Given the parameters that it names, raises ConfigError or DataError for what would fail later; called before
            any step runs.
        retries: How often Kubeflow tries the step again.
        accelerated: Whether Kubeflow gives the step the accelerators.
    """

    function: Function
    signature: Signature
    reads: Callable[..., Iterable[Path]] | None
    check: Callable[..., object] | None
    retries: int
    accelerated: bool

    @property
    def name(self) -> str:
        """Name of the function, and of the step unless the pipeline gives another."""
        return self.function.__name__

    @property
    def path(self) -> str:
        """Where the component is defined: `module:function`."""
        return f"{self.function.__module__}:{self.name}"

    def __call__(self, **arguments: Any) -> Step:
        """Makes a step called as the component; `step` says more."""
        return self.step(self.name, **arguments)

    def step(self, step_name: str, /, **arguments: Any) -> Step:
        """Makes a step of this component.

        Args:
            step_name: Name of the step within its pipeline.
            **arguments: Outputs of other steps for the inputs (None for an optional one), values for the parameters.

        Raises:
            ConfigError: If an argument is unknown, missing or of the wrong kind; names the component.
        """
        known = self.signature
        inputs: dict[str, OutputRef] = {}
        parameters: dict[str, Any] = {}
        for key, value in arguments.items():
            if key in known.parameters:
                parameters[key] = known.parameters[key].check(value, self.name)
            elif key not in known.inputs:
                names = [*known.inputs, *known.parameters]
                raise ConfigError(f"Component '{self.name}' has no input or parameter '{key}'.{did_you_mean(key, names)}")
            elif isinstance(value, OutputRef):
                inputs[key] = value
            elif value is not None or not known.inputs[key].optional:
                raise ConfigError(
                    f"Component '{self.name}': the input '{key}' must be an output of another step. Received: {value!r}."
                )
        missing = [f"input '{n}' ({s.type.__name__})" for n, s in known.inputs.items() if not s.optional and n not in inputs]
        missing += [f"parameter '{n}'" for n, s in known.parameters.items() if s.required and n not in parameters]
        if missing:
            received = ", ".join(arguments) or "nothing"
            raise ConfigError(f"Component '{self.name}' needs the {missing[0]}. Received: {received}.")
        defaults = {name: spec.default for name, spec in known.parameters.items() if name not in parameters}
        return Step(step_name, self, inputs, {**defaults, **parameters})

    def execute(
        self,
        inputs: Mapping[str, Path],
        outputs: Mapping[str, Path],
        parameters: Mapping[str, Any],
        work: Path,
        previous: Mapping[str, Path] | None = None,
    ) -> dict[str, Artifact]:
        """Runs the body on folders; the local runner and Kubeflow both come through here.

        Args:
            inputs: Folder of each input that is given.
            outputs: Folder of each output, missing or empty.
            parameters: Checked values.
            work: The work folder, which exists.
            previous: Folder of an earlier output, for the arguments of that kind that have one.

        Returns:
            The outputs, validated.

        Raises:
            DataError: If an input is not what its type says, or the body left no valid output.
        """
        arguments: dict[str, Any] = dict(parameters)
        for name, folder in inputs.items():
            arguments[name] = self.signature.inputs[name].type.open(folder)
        for name, folder in (previous or {}).items():
            arguments[name] = self.signature.previous[name].type.open(folder)
        if self.signature.work is not None:
            arguments[self.signature.work] = work
        made = {name: self.signature.outputs[name](folder) for name, folder in outputs.items()}
        self.function(**arguments, **made)
        for artifact in made.values():
            artifact.validate()
        return made


@dataclass(frozen=True)
class Step:
    """One node of a pipeline.

    Attributes:
        name: Unique within the pipeline.
        component: What runs.
        inputs: Where each given input comes from.
        parameters: Checked values, defaults included.
        waits_for: Names of steps that must be complete first although none of their outputs is read.
    """

    name: str
    component: Component
    inputs: Mapping[str, OutputRef]
    parameters: Mapping[str, Any]
    waits_for: tuple[str, ...] = ()

    def __getitem__(self, output: str) -> OutputRef:
        """Returns a reference to an output, for another step's input.

        Raises:
            ConfigError: If the step has no such output.
        """
        known = self.component.signature.outputs
        if output not in known:
            raise ConfigError(f"Step '{self.name}' has no output '{output}'.{did_you_mean(output, known)}")
        return OutputRef(self.name, output)

    def after(self, *steps: Step) -> Step:
        """Returns the step, waiting for others whose outputs it does not read."""
        return replace(self, waits_for=(*self.waits_for, *(step.name for step in steps)))

    @property
    def upstream(self) -> tuple[str, ...]:
        """Names of the steps that must be complete first, each once."""
        return tuple(dict.fromkeys([*(ref.step for ref in self.inputs.values()), *self.waits_for]))

    def files(self) -> list[Path]:
        """Returns the files outside the pipeline that the step reads."""
        return list(self._call(self.component.reads)) if self.component.reads is not None else []

    def check(self) -> None:
        """Raises ConfigError or DataError for what would fail when the step runs."""
        if self.component.check is not None:
            self._call(self.component.check)

    def _call(self, hook: Callable[..., Any]) -> Any:
        return hook(**{name: self.parameters[name] for name in inspect.signature(hook).parameters})

    def parameters_as_json(self) -> dict[str, Any]:
        """Returns the parameters JSON-ready."""
        known = self.component.signature.parameters
        return {name: known[name].dump(value) for name, value in self.parameters.items()}


@overload
def component(function: Function, /) -> Component: ...


@overload
def component(
    *,
    reads: Callable[..., Iterable[Path]] | None = None,
    check: Callable[..., object] | None = None,
    retries: int = 2,
    accelerated: bool = False,
) -> Callable[[Function], Component]: ...


def component(
    function: Function | None = None,
    /,
    *,
    reads: Callable[..., Iterable[Path]] | None = None,
    check: Callable[..., object] | None = None,
    retries: int = 2,
    accelerated: bool = False,
) -> Component | Callable[[Function], Component]:
    """Makes a component of a function; `Component` says what the arguments mean.

    Raises:
        TypeError: If the function's annotations do not say what each argument is.
    """

    def make(body: Function) -> Component:
        return Component(body, read_signature(body), reads, check, retries, accelerated)

    return make if function is None else make(function)
