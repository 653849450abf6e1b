"""What is read from a pipeline's folder after a run: lineage, status, clean."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from pipeline_cases import add, compared, constant, limited, publish

from tfadt.components.artifacts.pushed_model import PushedModel
from tfadt.errors import DataError
from tfadt.pipelines.lineage import clean, trace
from tfadt.pipelines.local_runner import StepError, StepResult, run
from tfadt.pipelines.pipeline import Pipeline
from tfadt.pipelines.planning import status
from tfadt.pipelines.store import RunState, StepState, Store


def pair(value: float = 1.0, plus: float = 2.0, file: Path | None = None) -> Pipeline:
    start = constant(value=value, file=None if file is None else str(file))
    return Pipeline("pair", [start, add(a=start["number"], plus=plus)])


def test_lineage_tells_data_settings_and_code(tmp_path: Path) -> None:
    source = tmp_path / "number.txt"
    source.write_text("41")
    made = run(pair(file=source), tmp_path / "store")["add"].outputs["number"]
    found = trace(made)
    text = "\n".join(found.lines())
    assert text.startswith(f"add: {made.parent.name}\n")
    for part in (
        "plus = 2.0",
        f"a <- number of constant: {found.records[made.parent.name].identity.inputs['a'].execution}",
        f"file {source}: SHA-256 3d914f9348c9cc0ff8a79716700b9fcd4d2f3e711608004eb8f138bcba7f14d9",  # of "41"
        "by pipeline_cases:constant, code ",
        'output number (Number): {"value": 43.0}',
    ):
        assert part in text
    assert trace(made / "number.json").root == found.root
    assert json.loads(json.dumps(found.as_dict()))["executions"].keys() == found.records.keys()


def test_lineage_names_an_earlier_run_that_was_compared_with(tmp_path: Path) -> None:
    for value in (1.0, 2.0):
        start = constant(value=value)
        results = run(Pipeline("p", [start, compared(a=start["number"])]), tmp_path / "store")
    assert "previous <- number of compared-" in "\n".join(trace(results["compared"].outputs["number"]).lines())


def test_lineage_of_what_is_no_artifact_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is no artifact of a pipeline"):
        trace(tmp_path)
    made = run(pair(), tmp_path / "store")["add"].outputs["number"]
    with pytest.raises(DataError, match="is no artifact of a pipeline"):
        trace(tmp_path / "store" / "logs")
    (made.parent / "execution.json").unlink()
    with pytest.raises(DataError, match="has no record of the execution add-"):
        trace(made)


def states(pipeline: Pipeline, folder: Path) -> dict[str, tuple[str, str]]:
    return {each.step: (each.state, each.note) for each in status(pipeline, Store(folder))}


def test_status_says_why_a_step_would_run(tmp_path: Path) -> None:
    source = tmp_path / "number.txt"
    source.write_text("1")
    store = tmp_path / "store"
    with Store.locked(store):
        pass
    assert states(pair(), store) == {"constant": ("to run", "not run yet"), "add": ("to run", "not run yet")}
    run(pair(file=source), store)
    assert [state for state, _ in states(pair(file=source), store).values()] == ["complete", "complete"]
    found = states(pair(plus=3.0, file=source), store)
    assert found["constant"][0] == "complete"
    assert found["add"] == ("to run", "plus: 2.0 -> 3.0")
    source.write_text("2")
    found = states(pair(file=source), store)
    assert found["constant"] == ("to run", f"{source} changed")
    assert found["add"] == ("to run", "input a changed")


def test_status_of_a_failed_and_of_an_interrupted_step(tmp_path: Path) -> None:
    start = constant(value=9.0)
    pipeline = Pipeline("p", [start, limited(a=start["number"], limit=1.0)])
    with pytest.raises(StepError):
        run(pipeline, tmp_path)
    assert states(pipeline, tmp_path)["limited"][0] == "failed"
    store = Store(tmp_path)
    state = store.state("p")
    assert state is not None
    state.steps["limited"] = StepState(execution=state.steps["limited"].execution, state="running")
    store.save_state("p", state)
    assert states(pipeline, tmp_path)["limited"][0] == "interrupted"


def test_clean_keeps_what_the_last_run_of_any_pipeline_refers_to(tmp_path: Path) -> None:
    run(pair(plus=2.0), tmp_path)
    run(pair(plus=3.0), tmp_path)
    other = constant(value=5.0)
    run(Pipeline("other", [other]), tmp_path)
    store = Store(tmp_path)
    old = {
        name for name in store.executions() if (record := store.record(name)) and record.identity.parameters.get("plus") == 2
    }
    assert len(store.executions()) == 4
    (store.partial("add-0000") / "work").mkdir(parents=True)

    dry = clean(tmp_path, dry_run=True)
    assert {path.name.removesuffix(".log") for path in dry.paths} == {*old, "add-0000"}
    assert dry.bytes > 0
    assert len(store.executions()) == 4
    cleaned = clean(tmp_path)
    assert (cleaned.paths, cleaned.kept) == (dry.paths, 3)
    assert not old & set(store.executions())
    results = run(pair(plus=3.0), tmp_path)
    assert not any(result.executed for result in results.values())
    assert clean(tmp_path).paths == []


def test_clean_keeps_the_last_whole_run_beside_a_part_and_a_failure(tmp_path: Path) -> None:
    start = constant(value=5.0)

    def pipeline(limit: float) -> Pipeline:
        return Pipeline("p", [start, limited(a=start["number"], limit=limit)])

    run(pipeline(9.0), tmp_path)
    run(pipeline(9.0).until("constant"), tmp_path)
    with pytest.raises(StepError):
        run(pipeline(1.0), tmp_path)
    assert clean(tmp_path).kept == 2
    assert not any(result.executed for result in run(pipeline(9.0), tmp_path).values())
    # A whole run that ends well takes the place of the last.
    run(pipeline(8.0), tmp_path)
    assert {path.name.split("-")[0] for path in clean(tmp_path).paths} == {"limited"}


def test_clean_keeps_what_a_served_version_was_made_of(tmp_path: Path) -> None:
    def served(value: float) -> dict[str, StepResult]:
        start = constant(value=value)
        pushed = publish(number=start["number"], to=str(tmp_path / "served"))
        return run(Pipeline("p", [start, pushed]), tmp_path / "store")

    first = served(1.0)
    served(2.0)
    assert clean(tmp_path / "store").paths == []
    place = Path(PushedModel(first["publish"].outputs["pushed"]).summary()["place"])
    shutil.rmtree(place)
    assert clean(tmp_path / "store").kept == 2


def test_clean_removes_what_a_kill_left_beside_a_complete_execution(tmp_path: Path) -> None:
    results = run(pair(), tmp_path)
    left = Store(tmp_path).partial(results["add"].record.identity.execution) / "work"
    left.mkdir(parents=True)
    assert clean(tmp_path).paths == [left.parent]
    assert not any(result.executed for result in run(pair(), tmp_path).values())


def test_clean_keeps_the_checkpoints_of_an_interrupted_step(tmp_path: Path) -> None:
    run(pair(), tmp_path)
    store = Store(tmp_path)
    (store.partial("add-1111") / "work").mkdir(parents=True)
    steps = {"add": StepState(execution="add-1111", state="running")}
    store.save_state("killed", RunState(config={}, started="now", steps=steps))
    assert clean(tmp_path).paths == []


def test_a_damaged_state_is_named(tmp_path: Path) -> None:
    run(pair(), tmp_path)
    (tmp_path / "pipelines" / "pair.json").write_text("{")
    with pytest.raises(DataError, match=r"pair.json is damaged: .* Delete it; the next run writes it anew\."):
        Store(tmp_path).state("pair")
