"""A good export is blessed under every loader; each kind of fault is found, and named."""

import json
import os
import re
import shutil

import numpy as np
import pytest
from serving_cases import MODELS, copy_export
from soak import EVERY

from tfadt.config import ExportConfig
from tfadt.errors import ConfigError, DataError
from tfadt.serving.contract import check_signatures
from tfadt.serving.export.exporter import export_run
from tfadt.serving.export.graph_check import read_saved_model
from tfadt.serving.metadata import METADATA_FILE, read_metadata, write_metadata
from tfadt.serving.requests import Exchange, difference, read_warmup, write_warmup
from tfadt.serving.verification import loader_check
from tfadt.serving.verification.proofs import Proofs
from tfadt.serving.verification.verify import blessing_path, read_blessing, verify

QUICK = 0.02  # seconds a measurement
VERIFIED = MODELS if EVERY else MODELS[:1]


@pytest.fixture(scope="module")
def blessings(exports):
    """Exports, verified under Python and C++."""
    return {model: verify(exports[model], seconds=QUICK) for model in VERIFIED}


@pytest.fixture
def export(exports, tmp_path):
    return copy_export(exports["gmf"], tmp_path)


def rewrite_metadata(version, **details):
    """Writes the metadata anew, digests included: what remains is what the later proofs must find."""
    metadata = read_metadata(version) | details
    metadata.pop("files")
    write_metadata(version, metadata)


def failure(version, **options):
    """Returns the proof that failed and why; every later one must have been left out."""
    blessing = verify(version, **{"loader": False, **options})
    assert not blessing.blessed
    failed = next(n for n, check in enumerate(blessing.checks) if check.ok is False)
    assert all(check.ok is None for check in blessing.checks[failed + 1 :])
    assert not json.loads(blessing_path(version).read_text())["blessed"]
    return blessing.checks[failed].name, blessing.checks[failed].detail


@pytest.mark.parametrize("model", VERIFIED)
def test_a_good_export_is_blessed(blessings, exports, model):
    blessing = blessings[model]
    assert [(check.name, check.ok) for check in blessing.checks] == [
        (name, True) for name in ("files", "tensorflow", "graph", "answers", "loader", "quality")
    ], blessing.checks
    assert read_blessing(exports[model])["blessed"]


@pytest.mark.parametrize("model", VERIFIED)
def test_latencies_are_measured_for_each_signature_batch_and_number_of_clients(blessings, exports, model):
    signatures = set(read_metadata(exports[model])["signatures"]) - {"serving_default"}
    found = {(entry.signature, entry.batch, entry.clients) for entry in blessings[model].latencies}
    assert found == {(name, batch, clients) for name in signatures for batch in (1, 32) for clients in (1, 2)}
    assert all(0 < entry.p50 <= entry.p99 and entry.runs >= 5 for entry in blessings[model].latencies)


@pytest.mark.parametrize("model", VERIFIED)
def test_the_served_model_ranks_the_clean_test_as_the_trained_one(blessings, saved_run, model):
    trained = next(row["metrics"] for row in saved_run.results["runs"] if row["model"] == model)
    assert blessings[model].metrics == pytest.approx(trained, abs=1e-4)


def test_a_damaged_variables_file_is_found(export):
    path = export / "variables" / "variables.data-00000-of-00001"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    name, detail = failure(export)
    assert name == "files"
    assert f"{path} was changed or damaged since the export" in detail


def test_damaged_variables_are_found_by_their_own_checksums_too(export):
    path = export / "variables" / "variables.data-00000-of-00001"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    rewrite_metadata(export)
    name, detail = failure(export)
    assert name == "answers"
    assert "fails where there is TensorFlow only" in detail


@pytest.mark.parametrize("name", ["variables/variables.index", "assets.extra/tf_serving_warmup_requests"])
def test_a_missing_file_is_found(export, name):
    (export / name).unlink()
    assert failure(export) == ("files", f"{export} lacks the file {name} that was exported.")


def test_an_added_file_is_found(export):
    (export / "notes.txt").touch()
    assert failure(export) == ("files", f"{export} has the file notes.txt that was not exported.")


def test_a_damaged_graph_is_found(export):
    (export / "saved_model.pb").write_bytes(b"\xff" * 100)
    rewrite_metadata(export)
    name, detail = failure(export)
    assert name == "graph"
    assert f"{export / 'saved_model.pb'} is damaged" in detail


def test_a_damaged_warm_up_record_is_found(export):
    path = export / "assets.extra" / "tf_serving_warmup_requests"
    path.write_bytes(path.read_bytes()[:-5])
    rewrite_metadata(export)
    name, detail = failure(export)
    assert name == "answers"
    assert f"{path} is damaged" in detail


def test_an_export_of_a_newer_tensorflow_is_refused(export):
    rewrite_metadata(export, tensorflow="99.1.0")
    name, detail = failure(export)
    assert name == "tensorflow"
    assert "was exported with TensorFlow 99.1.0" in detail


def test_an_export_of_an_older_tensorflow_is_reported(export):
    found = Proofs(export, read_metadata(export) | {"tensorflow": "2.9.3"}, None, QUICK).tensorflow()
    assert "exported with TensorFlow 2.9.3, verified with 2." in found


def with_records(version, change):
    records = [change(record) if record.signature == "recommend" else record for record in read_warmup(version)]
    write_warmup(version, "gmf", records)
    rewrite_metadata(version)


def test_an_answer_that_is_not_the_models_is_found(export):
    def change(record):
        scores = record.answer["scores"].copy()
        scores[0, 0] += 0.01
        return Exchange(record.signature, record.request, record.answer | {"scores": scores})

    with_records(export, change)
    name, detail = failure(export)
    assert name == "answers"
    assert "The answer to 'record 0 recommend' is not the model's: scores[0, 0] is" in detail


def test_a_bad_warm_up_request_is_found(export):
    def change(record):
        return Exchange(record.signature, {"user_id": record.request["user_id"][:, None]}, record.answer)

    with_records(export, change)
    assert failure(export)[0] == "answers"


def test_quality_that_is_not_the_trained_models_is_found(exports):
    metadata = read_metadata(exports["gmf"])
    trained = metadata["test_metrics"]["recall@5"] + 0.01
    metadata["test_metrics"]["recall@5"] = trained
    with pytest.raises(
        DataError, match=rf"The served model has recall@5 0\.\d+ on the clean test, the trained one {trained:.6f}"
    ):
        Proofs(exports["gmf"], metadata, None, QUICK).quality()


def test_a_run_that_was_moved_is_named_with_an_option(exports, saved_run):
    metadata = read_metadata(exports["gmf"]) | {"run": "/nowhere/run"}
    with pytest.raises(DataError, match=r"The run /nowhere/run is not there, .* Name its folder with --run"):
        Proofs(exports["gmf"], metadata, None, QUICK).quality()
    assert "metrics equal the trained model's" in Proofs(exports["gmf"], metadata, saved_run.folder, QUICK).quality()


def test_a_run_of_other_data_is_refused(exports):
    metadata = read_metadata(exports["gmf"]) | {"data_fingerprint": "other"}
    with pytest.raises(DataError, match="has other data than the run that was exported"):
        Proofs(exports["gmf"], metadata, None, QUICK).quality()


@pytest.mark.parametrize(("k", "exclude_seen"), [(3, True), (10, False)])
def test_quality_is_compared_where_the_export_is_short_or_ranks_seen_items(saved_run, tmp_path, k, exclude_seen):
    version = export_run(saved_run, tmp_path, "gmf-t_ce-0", ExportConfig(k=k, exclude_seen=exclude_seen))
    proofs = Proofs(version, read_metadata(version), None, QUICK)
    assert "(largest difference 0.0e+00)" in proofs.quality()
    assert set(proofs.metrics) >= {f"recall@{min(k, 5)}"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s["score"].inputs["user_id"].tensor_shape.dim[0].__setattr__("size", 1), "score: user_id must be string"),
        (lambda s: s["score"].outputs.pop("known_item"), "score must have the outputs score, known_user, known_item"),
        (lambda s: s["recommend"].outputs["scores"].__setattr__("dtype", 2), "recommend: scores must be float32"),
        (lambda s: s["recommend"].outputs["item_ids"].tensor_shape.dim[1].__setattr__("size", 11), r"\[-1, 10\]"),
        (lambda s: s.pop("denoise"), "The export has no signature denoise"),
        (
            lambda s: s["classify"].__setattr__("method_name", "tensorflow/serving/predict"),
            "classify must be asked by the method tensorflow/serving/classify. Received: tensorflow/serving/predict",
        ),
    ],
)
def test_a_signature_that_breaks_the_contract_is_found(exports, change, message):
    signatures = read_saved_model(exports["gmf"]).meta_graphs[0].signature_def
    check_signatures(signatures, read_metadata(exports["gmf"]))
    change(signatures)
    with pytest.raises(DataError, match=message):
        check_signatures(signatures, read_metadata(exports["gmf"]))


def test_a_blessing_is_of_the_content_that_was_verified(blessings, exports, tmp_path):
    version = copy_export(exports["gmf"], tmp_path)
    assert read_blessing(version)["blessed"]
    (version / "variables" / "variables.index").write_bytes(b"")
    with pytest.raises(DataError, match=r"variables\.index was changed or damaged"):
        read_blessing(version)
    rewrite_metadata(version)
    with pytest.raises(DataError, match="is not what was verified: it was changed since"):
        read_blessing(version)


def test_no_compiler_is_told(export, monkeypatch):
    monkeypatch.setenv("PATH", os.devnull)
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(ConfigError, match=r"needs a C\+\+ compiler \(g\+\+, c\+\+, clang\+\+\), and there is none"):
        verify(export)
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(ConfigError, match=re.escape("(no-such-compiler)")):
        verify(export)


def test_a_compiler_that_fails_is_told(tmp_path, monkeypatch):
    source = tmp_path / "loader_check.cc"
    source.write_text("int main() { return nonsense; }")
    monkeypatch.setattr(loader_check, "_SOURCE", source)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(ConfigError, match=r"cannot compile loader_check\.cc against TensorFlow .*nonsense"):
        loader_check.build_loader()


def test_what_is_no_export_is_told(tmp_path):
    with pytest.raises(DataError, match="Expected a version written by `tfadt export`"):
        verify(tmp_path)
    (tmp_path / METADATA_FILE).parent.mkdir()
    for text, message in (("{", "is damaged"), ('{"schema": 9}', "Expected schema 1. Received: 9")):
        (tmp_path / METADATA_FILE).write_text(text)
        with pytest.raises(DataError, match=message):
            verify(tmp_path)


def test_items_may_change_places_only_among_equal_scores():
    def ranking(items, scores):
        return {"item_ids": np.array([items], object), "scores": np.array([scores], np.float32)}

    expected = ranking([b"a", b"b", b"c"], [2.0, 1.0, 1.0])
    assert difference(ranking([b"a", b"c", b"b"], [2.0, 1.0, 1.0]), expected) is None
    assert difference(ranking([b"a", b"b", b"d"], [2.0, 1.0, 1.0]), expected) is None  # d tied with c at the end
    assert difference(ranking([b"b", b"a", b"c"], [2.0, 1.0, 1.0]), expected) == "item_ids[0, 0] is b'b', expected b'a'"
    assert difference(ranking([b"d", b"b", b"c"], [2.0, 1.0, 1.0]), expected) is not None
    assert difference(ranking([b"a", b"b", b"c"], [2.0, 1.0, 1.1]), expected) is not None


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), 0.0, -1.0])
def test_what_is_no_time_is_refused(export, seconds):
    with pytest.raises(ConfigError, match="is a number of seconds above 0"):
        verify(export, seconds=seconds)


def test_a_compiler_may_be_a_command_of_several_words(monkeypatch):
    monkeypatch.setenv("CXX", "env g++ -pipe")
    assert loader_check.find_compiler() == [shutil.which("env"), "g++", "-pipe"]
    assert loader_check.has_compiler()
    monkeypatch.setenv("CXX", "g++ 'unfinished")
    with pytest.raises(ConfigError, match="CXX cannot be read as a command: No closing quotation"):
        loader_check.find_compiler()


def test_without_a_compiler_the_loader_can_be_left_out_and_a_pipelines_artifact_is_not_changed(
    exports, tmp_path, monkeypatch
):
    monkeypatch.setenv("CXX", "no-such-compiler")
    execution = tmp_path / "artifacts" / "export-0123456789abcdef"
    version = copy_export(exports["gmf"], execution / "saved_model")
    version.with_name("1.blessing.json").unlink(missing_ok=True)
    (execution / "execution.json").write_text("{}")
    before = sorted(execution.rglob("*"))
    blessing = verify(version, loader=False)
    assert blessing.blessed
    assert [check.ok for check in blessing.checks if check.name == "loader"] == [None]
    assert sorted(execution.rglob("*")) == before
