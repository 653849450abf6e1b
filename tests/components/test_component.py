from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pipeline_cases import Number, Text, add, constant, describe

from tfadt.components.artifacts.base import Artifact
from tfadt.components.component import OutputRef, component
from tfadt.components.signature import Input, Output, Parameter
from tfadt.config import Config, EvaluateConfig
from tfadt.config.ingest import IngestConfig
from tfadt.errors import ConfigError, DataError


def message(make: Any, **arguments: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        make(**arguments)
    return str(caught.value)


def test_a_call_makes_a_step_and_does_not_run_the_body() -> None:
    step = constant(value=2.0)
    assert (step.name, dict(step.inputs), dict(step.parameters)) == ("constant", {}, {"value": 2.0, "file": None})
    total = add.step("total", a=step["number"], b=None, plus=0.5)
    assert total.name == "total"
    assert total.inputs == {"a": OutputRef("constant", "number")}
    assert total.upstream == ("constant",)
    assert describe(number=total["number"]).after(step, total).upstream == ("total", "constant")


def test_a_component_knows_its_place_and_types() -> None:
    assert add.path == "pipeline_cases:add"
    assert {name: (spec.type, spec.optional) for name, spec in add.signature.inputs.items()} == {
        "a": (Number, False),
        "b": (Number, True),
    }
    assert add.signature.outputs == {"number": Number}
    assert add.signature.parameters["plus"].default == 0.0


def test_an_unknown_parameter_names_the_component_and_the_nearest() -> None:
    assert message(constant, valu=1.0) == ("Component 'constant' has no input or parameter 'valu'. Did you mean 'value'?")


def test_a_missing_input_names_the_component_and_the_type() -> None:
    assert message(add, plus=1.0) == "Component 'add' needs the input 'a' (Number). Received: plus."
    assert message(add) == "Component 'add' needs the input 'a' (Number). Received: nothing."
    assert message(add, a=None).startswith("Component 'add': the input 'a' must be an output of another step.")


def test_an_input_must_be_an_output_of_a_step() -> None:
    assert message(add, a=3) == "Component 'add': the input 'a' must be an output of another step. Received: 3."


def test_an_unknown_output_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"Step 'constant' has no output 'numbre'. Did you mean 'number'\?"):
        constant()["numbre"]


@pytest.mark.parametrize("value", ["x", True, None, [1.0]])
def test_a_parameter_of_the_wrong_type_is_refused(value: Any) -> None:
    text = message(constant, value=value)
    assert text.startswith("Component 'constant': the parameter 'value")
    assert f"Received: {value!r}." in text


def test_a_parameter_that_json_cannot_hold_is_refused() -> None:
    assert "not JSON-ready" in message(constant, value=object())


def test_sections_are_parameters_and_only_their_given_parts_count() -> None:
    @component
    def stage(number: Output[Number], settings: Parameter[Config], ingest: Parameter[IngestConfig]) -> None:
        number.write(settings.evaluate.k[0])

    step = stage(settings={"evaluate": {"k": [7, 9]}}, ingest=IngestConfig(data=Path("clicks.csv")))
    assert step.parameters["settings"] == Config(evaluate=EvaluateConfig(k=(7, 9)))
    given = step.parameters_as_json()
    assert given["settings"] == {"evaluate": {"k": [7, 9]}}
    assert given["ingest"]["data"] == ["clicks.csv"]
    assert given["ingest"]["split"]["seed"] == 0
    text = message(stage, settings={"evaluate": {"k": [9, 7]}})
    assert text.startswith("Component 'stage': the parameter 'settings.evaluate.k' is wrong")


def test_execute_opens_inputs_and_validates_outputs(tmp_path: Path) -> None:
    Number(tmp_path / "a").write(2.0)
    made = add.execute({"a": tmp_path / "a"}, {"number": tmp_path / "sum"}, {"plus": 0.5}, tmp_path)
    assert made["number"].summary() == {"value": 2.5}
    with pytest.raises(DataError, match=r"is no Number. Expected the file number.json. Received: nothing there\."):
        add.execute({"a": tmp_path / "nowhere"}, {"number": tmp_path / "sum"}, {"plus": 0.5}, tmp_path)

    @component
    def forgets(number: Output[Number]) -> None:
        number.path.mkdir()

    with pytest.raises(DataError, match=r"out is no Number. Expected the file number.json. Received: an empty folder\."):
        forgets.execute({}, {"number": tmp_path / "out"}, {}, tmp_path)


def test_an_artifact_says_what_is_wrong_with_its_json(tmp_path: Path) -> None:
    Number(tmp_path).write_json("number.json", {"other": 1})
    with pytest.raises(DataError, match=r"Expected the keys \['value'\]. Received: \['other'\]\."):
        Number.open(tmp_path).read()
    (tmp_path / "number.json").write_text("{")
    with pytest.raises(DataError, match=r"number.json is not readable JSON"):
        Number.open(tmp_path).read()


def test_a_function_must_say_what_its_arguments_are() -> None:
    with pytest.raises(TypeError, match="Component 'unmarked': the argument 'a' must be annotated"):

        @component
        def unmarked(number: Output[Number], a: float) -> None: ...

    with pytest.raises(TypeError, match="Component 'sink' needs an output"):

        @component
        def sink(a: Input[Text]) -> None: ...


def test_every_artifact_type_states_its_layout() -> None:
    import importlib
    import pkgutil

    import tfadt.components.artifacts as package

    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
    kinds = [kind for kind in _below(Artifact) if kind.__module__.startswith("tfadt.")]
    assert {"Interactions", "Model", "Evaluation", "DataValidation"} <= {kind.__name__ for kind in kinds}
    for kind in kinds:
        assert kind.files, kind
        for name in kind.files:
            assert f"`{name}`" in (kind.__doc__ or ""), f"{kind.__name__} does not say what {name} is"


def _below(kind: type[Artifact]) -> list[type[Artifact]]:
    return [each for sub in kind.__subclasses__() for each in (sub, *_below(sub))]
