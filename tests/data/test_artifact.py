"""The artifact folder: round trip, fingerprint, and what is refused."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from tfadt.config.ingest import Feedback, IngestConfig, Simulated, Split
from tfadt.data.artifact import fingerprint, load, save
from tfadt.data.ingest import from_frame, ingest
from tfadt.data.interactions import InteractionData
from tfadt.errors import ConfigError, DataError

SMALL = IngestConfig(simulated=Simulated(users=40, items=30, interactions=400))


def text_ids() -> InteractionData:
    frame = pd.DataFrame([(f"u,{u}\n", "é" * i, 5) for u in range(6) for i in range(1, 6)])
    frame.columns = pd.Index(["user_id", "item_id", "rating"])
    return from_frame(frame, IngestConfig(split=Split(test=0.3), feedback=Feedback(rule="none")))


@pytest.mark.parametrize("make", [lambda: ingest(SMALL), text_ids], ids=["integers and flags", "text without flags"])
def test_round_trip(make: Callable[[], InteractionData], tmp_path: Path) -> None:
    data = make()
    save(data, tmp_path / "deep" / "log")
    again = load(tmp_path / "deep" / "log")
    assert again.manifest == data.manifest
    assert again.users.ids.dtype == data.users.ids.dtype
    assert again.items.ids.tolist() == data.items.ids.tolist()
    for name in ("train", "valid", "test"):
        was, now = getattr(data, name), getattr(again, name)
        np.testing.assert_array_equal(was.user, now.user)
        np.testing.assert_array_equal(was.item, now.item)
        np.testing.assert_array_equal(was.false_positive, now.false_positive)
        np.testing.assert_array_equal(was.known_positive, now.known_positive)
        np.testing.assert_array_equal(was.known_negative, now.known_negative)
    assert (again.extra_feedback is None) == (data.extra_feedback is None)
    np.testing.assert_array_equal(again.extra_feedback_ratio, data.extra_feedback_ratio)
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["log"]


def test_the_fingerprint_is_of_the_content() -> None:
    data = ingest(SMALL)
    assert data.manifest["fingerprint"] == fingerprint(data) == fingerprint(ingest(SMALL))
    flags = data.train.false_positive
    assert flags is not None
    changed = flags.copy()
    changed[0] = not changed[0]
    other = replace(data, train=replace(data.train, false_positive=changed))
    assert fingerprint(other) != fingerprint(data)


def test_extra_feedback_is_part_of_the_content(tmp_path: Path) -> None:
    data = ingest(SMALL)
    assert data.extra_feedback is not None
    fewer = data.with_extra_feedback(data.extra_feedback.take(np.arange(3)))
    assert len({fingerprint(each) for each in (data, fewer, data.with_extra_feedback(None))}) == 3
    save(data, tmp_path / "log")
    (tmp_path / "log" / "extra_feedback.parquet").unlink()
    with pytest.raises(DataError, match="changed or damaged"):
        load(tmp_path / "log")


def test_a_folder_of_an_older_version_is_refused_with_the_line_that_makes_it_anew(tmp_path: Path) -> None:
    save(ingest(SMALL), tmp_path / "log")
    path = tmp_path / "log" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema": 2}))
    with pytest.raises(DataError, match=r"Received: 2\. Make it anew .*: tfadt ingest --data LOG --out .*log"):
        ingest(IngestConfig(data=tmp_path / "log"))


def test_the_disliked_pairs_of_test_are_kept_apart(tmp_path: Path) -> None:
    data = ingest(SMALL)
    assert data.test_disliked is not None
    assert len(data.test_disliked)
    save(data, tmp_path / "log")
    again = load(tmp_path / "log")
    assert again.test_disliked is not None
    assert (again.test_disliked.item == data.test_disliked.item).all()
    pq.write_table(pq.read_table(tmp_path / "log/test_disliked.parquet")[1:], tmp_path / "log/test_disliked.parquet")
    with pytest.raises(DataError, match="changed or damaged"):
        load(tmp_path / "log")


def test_ingest_loads_a_folder_and_refuses_other_settings(tmp_path: Path) -> None:
    data = ingest(SMALL)
    save(data, tmp_path / "log")
    again = ingest(IngestConfig(data=tmp_path / "log"))
    assert again.manifest == data.manifest
    with pytest.raises(ConfigError, match=r"ingested with other settings of ingest\.clean_test"):
        ingest(IngestConfig(data=tmp_path / "log", clean_test=False))


def test_save_replaces_an_earlier_folder_and_nothing_else(tmp_path: Path) -> None:
    first, second = ingest(SMALL), text_ids()
    save(first, tmp_path / "log")
    save(second, tmp_path / "log")
    assert load(tmp_path / "log").manifest == second.manifest
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("years of work")
    with pytest.raises(DataError, match="other exists and was not written by ingest"):
        save(first, tmp_path / "other")
    assert (tmp_path / "other" / "thesis.tex").read_text() == "years of work"
    # A manifest.json alone does not make a folder ours.
    (tmp_path / "other" / "manifest.json").write_text("{}")
    with pytest.raises(DataError, match="other exists and was not written by ingest"):
        save(first, tmp_path / "other")
    assert (tmp_path / "other" / "thesis.tex").read_text() == "years of work"
    (tmp_path / "alone").mkdir()
    (tmp_path / "alone" / "extra_feedback.parquet").write_text("mine")
    with pytest.raises(DataError, match="alone exists and was not written by ingest"):
        save(first, tmp_path / "alone")
    with pytest.raises(DataError, match=r"thesis\.tex exists"):
        save(first, tmp_path / "other" / "thesis.tex")
    with pytest.raises(DataError, match="cannot be written"):
        save(first, tmp_path / "other" / "thesis.tex" / "log")


def test_a_failed_save_leaves_the_earlier_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = ingest(SMALL)
    save(first, tmp_path / "log")

    def full_disk(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tfadt.data.artifact.pa_parquet.write_table", full_disk)
    with pytest.raises(DataError, match="log cannot be written: No space left"):
        save(text_ids(), tmp_path / "log")
    assert load(tmp_path / "log").manifest == first.manifest
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


def change_manifest(**values: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "manifest.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    return change


def change_column(folder: Path) -> None:
    frame = pd.read_parquet(folder / "valid.parquet")
    frame["item"] = frame["item"] * 1.0
    frame.to_parquet(folder / "valid.parquet")


def change_value(folder: Path) -> None:
    frame = pd.read_parquet(folder / "train.parquet")
    frame.loc[0, "item"] = frame["item"][0] + 1
    frame.to_parquet(folder / "train.parquet")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "items.parquet").unlink(), r"items\.parquet does not exist"),
        (lambda folder: (folder / "test.parquet").write_bytes(b"PAR1"), r"test\.parquet is damaged"),
        (lambda folder: (folder / "manifest.json").write_text("{"), r"manifest\.json is not readable JSON"),
        (lambda folder: (folder / "manifest.json").write_text("[]"), r"Expected schema 4. Received: list"),
        (change_manifest(schema=99), r"Expected schema 4. Received: 99"),
        (change_manifest(fingerprint="0"), r"changed or damaged"),
        (change_column, r"valid\.parquet: expected a column 'item' of int64"),
        (change_value, r"changed or damaged"),
    ],
)
def test_damage_is_found(damage: Callable[[Path], None], message: str, tmp_path: Path) -> None:
    save(ingest(SMALL), tmp_path / "log")
    damage(tmp_path / "log")
    with pytest.raises(DataError, match=message):
        load(tmp_path / "log")


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"manifest\.json does not exist"):
        load(tmp_path / "log")


def test_a_folder_is_replaced_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the process dies in between, the old or the new folder is there: the name is never without one."""
    save(ingest(SMALL), tmp_path / "log")
    renames: list[str] = []
    monkeypatch.setattr(Path, "rename", lambda path, target: renames.append(path.name))
    other = ingest(SMALL.model_copy(update={"split": Split(seed=5)}))
    save(other, tmp_path / "log")
    assert renames == []
    assert load(tmp_path / "log").manifest["fingerprint"] == other.manifest["fingerprint"]
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


def test_folders_that_a_killed_process_left_are_removed(tmp_path: Path) -> None:
    for name in (".log.killed", ".tfadt-ingest.killed"):
        (tmp_path / name / "spilled").mkdir(parents=True)
        os.utime(tmp_path / name, (0, 0))
    save(ingest(SMALL, folder=tmp_path), tmp_path / "log")
    assert [path.name for path in tmp_path.iterdir()] == ["log"]
