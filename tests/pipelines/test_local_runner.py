from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from pipeline_cases import Number, add, compared, constant, describe, follows, limited, publish, stopped

from tfadt.errors import ConfigError, DataError
from tfadt.pipelines.local_runner import Listener, StepError, StepResult, run
from tfadt.pipelines.pipeline import Pipeline
from tfadt.pipelines.store import Store


def small(value: float = 1.0, plus: float = 10.0, file: Path | None = None) -> Pipeline:
    start = constant(value=value, file=None if file is None else str(file))
    left = add.step("left", a=start["number"], plus=plus)
    right = add.step("right", a=start["number"], plus=100.0)
    total = add.step("total", a=left["number"], b=right["number"])
    return Pipeline("small", [start, left, right, total, describe(number=total["number"])])


def executed(results: dict[str, StepResult]) -> list[str]:
    return [name for name, result in results.items() if result.executed]


def text_of(results: dict[str, StepResult]) -> str:
    return (results["describe"].outputs["text"] / "text.txt").read_text()


class Heard(Listener):
    def __init__(self) -> None:
        self.told: list[str] = []

    def begin(self, step: str) -> None:
        self.told.append(f"begin {step}")

    def line(self, step: str, text: str) -> None:
        print("a listener may print")
        self.told.append(f"{step}: {text}")

    def end(self, step: str, state: object) -> None:
        self.told.append(f"end {step}: {state.state}")  # type: ignore[attr-defined]


def test_steps_run_once_and_are_skipped_while_nothing_changes(tmp_path: Path) -> None:
    first = run(small(), tmp_path / "store")
    assert executed(first) == ["constant", "left", "right", "total", "describe"]
    assert text_of(first) == "It is 112."
    again = run(small(), tmp_path / "store")
    assert executed(again) == []
    assert {name: result.outputs for name, result in again.items()} == {name: r.outputs for name, r in first.items()}


def test_a_change_reruns_what_depends_on_it_and_nothing_else(tmp_path: Path) -> None:
    run(small(), tmp_path / "store")
    results = run(small(plus=20.0), tmp_path / "store")
    assert executed(results) == ["left", "total", "describe"]
    assert text_of(results) == "It is 122."
    assert executed(run(small(value=2.0), tmp_path / "store")) == ["constant", "left", "right", "total", "describe"]
    # What was made before is still there.
    assert executed(run(small(), tmp_path / "store")) == []


def test_a_file_outside_counts_by_its_content(tmp_path: Path) -> None:
    source = tmp_path / "number.txt"
    source.write_text("5")
    run(small(file=source), tmp_path / "store")
    os.utime(source, ns=(0, 0))
    assert executed(run(small(file=source), tmp_path / "store")) == []
    source.write_text("6")
    results = run(small(file=source), tmp_path / "store")
    assert executed(results) == ["constant", "left", "right", "total", "describe"]
    assert text_of(results) == "It is 122."
    source.unlink()
    with pytest.raises(DataError, match=r"Step 'constant' reads .*number.txt, which does not exist\."):
        run(small(file=source), tmp_path / "store")


def test_equal_steps_of_different_names_and_pipelines_are_executed_once(tmp_path: Path) -> None:
    one, two = constant.step("one", value=3.0), constant.step("two", value=3.0)
    results = run(Pipeline("twins", [one, two, add(a=one["number"], b=two["number"])]), tmp_path / "store")
    assert executed(results) == ["one", "add"]
    assert executed(run(Pipeline("other", [constant(value=3.0)]), tmp_path / "store")) == []


def test_the_record_says_what_was_run_on_what_with_what_result(tmp_path: Path) -> None:
    results = run(small(), tmp_path / "store")
    record = json.loads((results["total"].outputs["number"].parent / "execution.json").read_text())
    assert record["step"] == "total"
    assert record["pipeline"] == "small"
    assert record["identity"]["component"] == "pipeline_cases:add"
    assert record["identity"]["parameters"] == {"plus": 0.0}
    assert record["identity"]["inputs"]["a"] == {"execution": results["left"].record.identity.execution, "output": "number"}
    assert record["outputs"]["number"]["summary"] == {"value": 112.0}
    assert record["versions"]["tfadt"]
    assert Path(results["total"].outputs["number"]).parent.name == results["total"].record.identity.execution


def test_a_failure_names_the_step_its_inputs_and_its_log(tmp_path: Path) -> None:
    start = constant(value=5.0)
    pipeline = Pipeline("failing", [start, limited(a=start["number"], limit=3.0)])
    with pytest.raises(StepError) as caught:
        run(pipeline, tmp_path / "store")
    sentence = str(caught.value)
    assert sentence.startswith("Step 'limited' failed: ValueError: 5.0 is above 3.0. Inputs: a = ")
    assert "\n" not in sentence
    log = Path(sentence.rpartition("Log: ")[2].removesuffix("."))
    text = log.read_text()
    assert "The limit is 3.0" in text
    assert "ValueError: 5.0 is above 3.0" in text
    assert "Traceback" in text
    input_folder = Path(sentence.rpartition("a = ")[2].partition(". Log")[0])
    assert Number.open(input_folder).read() == 5.0
    # The other step is complete, and nothing of the failed one looks like an artifact.
    assert [path.name.split("-")[0] for path in (tmp_path / "store" / "artifacts").iterdir()] == ["constant"]


def test_after_a_failure_the_run_goes_on_where_it_was(tmp_path: Path) -> None:
    source = tmp_path / "number.txt"
    source.write_text("no number")
    one = constant.step("one", value=1.0)
    two = constant.step("two", file=str(source))
    pipeline = Pipeline("p", [one, two, add(a=one["number"], b=two["number"])])
    with pytest.raises(StepError, match="Step 'two' failed: ValueError"):
        run(pipeline, tmp_path / "store")
    source.write_text("2")
    assert executed(run(pipeline, tmp_path / "store")) == ["two", "add"]


def test_a_stopped_run_is_known_as_such(tmp_path: Path) -> None:
    start = constant()
    with pytest.raises(KeyboardInterrupt):
        run(Pipeline("p", [start, stopped(a=start["number"])]), tmp_path / "store")
    store = Store(tmp_path / "store")
    state = store.state("p")
    assert state is not None
    assert state.error == "Stopped."
    assert {name: step.state for name, step in state.steps.items()} == {"constant": "done", "stopped": "running"}
    assert not store.is_locked()


def test_settings_are_checked_before_any_step_runs(tmp_path: Path) -> None:
    start = constant()
    pipeline = Pipeline("p", [start, limited(a=start["number"], limit=-1.0)])
    with pytest.raises(DataError, match=r"The limit must not be negative. Received: -1\.0"):
        run(pipeline, tmp_path / "store")
    assert not (tmp_path / "store").exists()


def test_what_is_needed_for_running_is_loaded_only_if_something_runs(tmp_path: Path) -> None:
    calls: list[int] = []
    run(small(), tmp_path / "store", before_steps=lambda: calls.append(1))
    run(small(), tmp_path / "store", before_steps=lambda: calls.append(1))
    assert calls == [1]


@pytest.mark.parametrize("change", ["content", "added", "removed", "same time"])
def test_a_tampered_artifact_is_detected(change: str, tmp_path: Path) -> None:
    results = run(small(), tmp_path / "store")
    run(small(), tmp_path / "store")  # digests are remembered by now
    folder = results["left"].outputs["number"]
    file = folder / "number.json"
    if change == "content":
        file.write_text(file.read_text().replace("11", "12"))
    elif change == "same time":
        before = file.stat()
        file.write_text(file.read_text().replace("11", "12"))
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    elif change == "added":
        (folder / "more.txt").write_text("x")
    else:
        shutil.rmtree(folder)
    with pytest.raises(DataError) as caught:
        run(small(), tmp_path / "store")
    sentence = str(caught.value)
    assert sentence.startswith(f"The artifact {folder} (output 'number' of step 'left') was changed after it was made.")
    assert f"Delete {folder.parent} to have the step run again." in sentence
    shutil.rmtree(folder.parent)
    assert executed(run(small(), tmp_path / "store")) == ["left"]


def test_a_tampered_record_is_detected(tmp_path: Path) -> None:
    results = run(small(), tmp_path / "store")
    path = results["left"].outputs["number"].parent / "execution.json"
    original = path.read_text()
    path.write_text(original.replace('"plus": 10.0', '"plus": 11.0'))
    with pytest.raises(DataError, match=r"execution.json was changed: its content belongs to add-"):
        run(small(), tmp_path / "store")
    path.write_text(original[:100])
    with pytest.raises(DataError, match=r"execution.json is damaged"):
        run(small(), tmp_path / "store")


def test_a_step_sees_what_it_made_of_other_data_before(tmp_path: Path) -> None:
    def made(value: float) -> float:
        start = constant(value=value)
        results = run(Pipeline("p", [start, compared(a=start["number"])]), tmp_path / "store")
        return Number.open(results["compared"].outputs["number"]).read()

    assert [made(1.0), made(2.0), made(3.0)] == [1001.0, 2002.0, 3003.0]
    # What is complete stays as it is: an earlier run is no reason to run again.
    assert made(2.0) == 2002.0


def test_a_step_sees_what_was_pushed_last_of_other_data(tmp_path: Path) -> None:
    def followed(value: float, name: str = "p") -> float:
        start = constant(value=value)
        steps = [start, follows(a=start["number"]), publish(number=start["number"], to=str(tmp_path / name))]
        results = run(Pipeline(name, steps), tmp_path / "store")
        return Number.open(results["follows"].outputs["number"]).read()

    assert [followed(1.0), followed(2.0), followed(3.0)] == [-1.0, 1.0, 2.0]
    # What is complete stays as it is: the same day again goes on from the day before, not from itself.
    assert followed(2.0) == 1.0
    # Another pipeline has pushed nothing yet.
    assert followed(4.0, "other") == -1.0
    for place in (tmp_path / "p").iterdir():
        if (place / "saved_model.pb").read_text() in ("2.0", "3.0"):
            place.rename(place.with_name(f"rolled-back-{place.name}"))
    assert followed(5.0) == 1.0


def test_a_listener_hears_every_step_and_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    heard = Heard()
    start = constant(value=4.0)
    run(Pipeline("p", [start, describe(number=start["number"])]), tmp_path / "store", listener=heard)
    assert heard.told == [
        "begin constant",
        "constant: constant 4.0",
        "end constant: done",
        "begin describe",
        "end describe: done",
    ]
    assert capsys.readouterr().out == "a listener may print\n"


def test_a_foreign_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(
        DataError, match=r"exists and holds no tfadt pipeline. Expected a new folder or an earlier pipeline's\."
    ):
        run(small(), tmp_path)
    with pytest.raises(DataError, match="exists and holds no tfadt pipeline"):
        run(small(), tmp_path / "mine.txt")
    with pytest.raises(DataError, match="nothing was run in it yet"):
        Store(tmp_path / "nowhere")


def test_a_second_runner_is_told_that_one_is_at_work(tmp_path: Path) -> None:
    with Store.locked(tmp_path / "store") as store:
        assert store.is_locked()
        with pytest.raises(ConfigError, match=r"Another process is writing to .*store\."):
            run(small(), tmp_path / "store")
        assert list((tmp_path / "store" / "artifacts").iterdir()) == []
    assert not store.is_locked()
    assert len(executed(run(small(), tmp_path / "store"))) == 5


def test_what_is_refused_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="which does not exist"):
        run(small(file=tmp_path / "nowhere.txt"), tmp_path / "out")
    assert not (tmp_path / "out").exists()
