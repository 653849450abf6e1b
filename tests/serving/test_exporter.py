"""What lands on disk, that it lives without us, and what is refused before a version appears."""

import functools
import json
import re
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from model_cases import checkerboard, make
from serving_cases import MODELS, K, export_config, seen_by_server
from tensorflow_serving.apis import prediction_log_pb2

from tfadt import registry
from tfadt.config import ExportConfig
from tfadt.errors import ConfigError, DataError
from tfadt.evaluation.ranking import rank
from tfadt.inference.colliding import CollidingScorer
from tfadt.models.gmf import GMF
from tfadt.models.neumf import NeuMF
from tfadt.serving.export.exporter import export_model, export_run
from tfadt.serving.export.graph_check import check_graph, read_saved_model
from tfadt.serving.metadata import read_metadata
from tfadt.serving.requests import WARMUP_FILE, read_warmup
from tfadt.serving.served import load_served


@pytest.fixture(scope="module")
def served(exports):
    """Returns the export of a model, loaded."""
    return functools.cache(lambda model: load_served(exports[model]))


COMMON = ["recommend", "recommend_excluding", "recommend_integer", "score", "denoise"]
MORE = {"gmf": {"recommend_from_history", "classify"}, "neumf": set(), "cdae": {"recommend_from_history"}}


@pytest.mark.parametrize("model", MODELS)
def test_the_layout_is_the_servers(exports, model):
    version = exports[model]
    assert [path.name for path in seen_by_server(version.parent)] == ["1"]
    names = {path.relative_to(version).as_posix() for path in version.rglob("*") if path.is_file()}
    assert names == {
        "saved_model.pb",
        "variables/variables.index",
        "variables/variables.data-00000-of-00001",
        "assets.extra/tf_serving_warmup_requests",
        "assets.extra/tfadt.json",
    }


@pytest.mark.parametrize("model", MODELS)
def test_every_signature_that_was_asked_for_or_that_the_run_allows_is_there(served, model):
    assert set(served(model).signatures) == {*COMMON, "serving_default", *MORE[model]}


def test_each_signature_names_the_method_of_the_server_that_asks_it(exports):
    found = read_saved_model(exports["gmf"]).meta_graphs[0].signature_def
    methods = {name: signature.method_name for name, signature in found.items() if not name.startswith("_")}
    predicted = {*COMMON, "recommend_from_history", "serving_default"}
    assert methods == {"classify": "tensorflow/serving/classify", **dict.fromkeys(predicted, "tensorflow/serving/predict")}
    records = tf.data.TFRecordDataset(str(exports["gmf"] / WARMUP_FILE)).as_numpy_iterator()
    logs = [prediction_log_pb2.PredictionLog.FromString(record) for record in records]
    classified = [log.classify_log for log in logs if log.WhichOneof("log_type") == "classify_log"]
    assert [len(log.request.input.example_list.examples) for log in classified] == [1, 8, 32]
    assert [len(log.response.result.classifications) for log in classified] == [1, 8, 32]
    assert {log.request.model_spec.signature_name for log in classified} == {"classify"}


@pytest.mark.parametrize("model", MODELS)
def test_the_export_ranks_as_the_trained_model(saved_run, served, model):
    data = saved_run.data
    users = np.arange(data.num_users)
    expected = rank(saved_run.load_model(f"{model}-t_ce-0"), users, K, data.history("train", "valid"))
    found = served(model).signatures["serving_default"](user_id=tf.constant(data.users.ids.astype(str)))
    np.testing.assert_allclose(found["scores"], expected.scores, rtol=1e-5, atol=1e-5)
    different = found["item_ids"].numpy().astype(str) != data.items.decode(expected.items).astype(str)
    # Equal scores may change places.
    np.testing.assert_allclose(np.abs(np.diff(expected.scores))[different[:, 1:]], 0, atol=1e-5)
    assert different.mean() < 0.01


FRESH = """
import json, sys
import tensorflow as tf
users, answers = json.loads(sys.argv[1]), []
for model in sys.argv[2:]:
    found = tf.saved_model.load(model).signatures["recommend"](user_id=tf.constant(users))
    items = [[item.decode() for item in row] for row in found["item_ids"].numpy()]
    answers.append({"item_ids": items, "scores": found["scores"].numpy().tolist()})
for name in ("tfadt", "keras", "tf_keras", "tensorflow_recommenders"):
    assert name not in sys.modules, name
print(json.dumps(answers))
"""


def test_a_fresh_process_with_tensorflow_only_gives_the_same(saved_run, exports, tmp_path):
    # A folder of links to everything that is installed, but us, Keras and TensorFlow Recommenders.
    hidden = re.compile(r"^(__editable__.*|.*\.pth|tfadt.*|keras.*|tf_keras.*|tensorflow_recommenders.*)$", re.IGNORECASE)
    for folder in (Path(entry) for entry in sys.path if "site-packages" in entry):
        for entry in folder.iterdir():
            link = tmp_path / entry.name
            if not hidden.match(entry.name) and not link.exists():
                link.symlink_to(entry)
    users = [str(value) for value in saved_run.data.users.ids[:5]]
    program = f"import sys; sys.path.append({str(tmp_path)!r})\n{FRESH}"
    command = [sys.executable, "-S", "-I", "-c", program, json.dumps(users), *(str(exports[model]) for model in MODELS)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for model, found in zip(MODELS, json.loads(done.stdout), strict=True):
        trained = saved_run.load_model(f"{model}-t_ce-0")
        expected = rank(trained, np.arange(5), K, saved_run.data.history("train", "valid"))
        assert found["item_ids"] == saved_run.data.items.decode(expected.items).astype(str).tolist()
        np.testing.assert_allclose(found["scores"], expected.scores, rtol=1e-5, atol=1e-5)


def test_the_tables_take_no_more_room_than_they_need(tmp_path):
    data = checkerboard(users=3000, items=40)
    model = GMF.from_interactions(data, embedding_dim=256)
    model.compile()
    model.optimizer.build(model.trainable_variables)  # two slots and a step for each row that must stay behind
    version = export_model(model, data, tmp_path / "gmf", seen=data.history())
    weights = sum(4 * int(np.prod(v.shape)) for v in model.trainable_variables)
    history = data.history()
    ids = sum(len(str(value)) for table in (data.users, data.items) for value in table.ids)
    needed = weights + history.items.nbytes + history.offsets.nbytes + ids
    on_disk = sum(path.stat().st_size for path in version.rglob("*") if path.is_file())
    assert on_disk <= 1.2 * needed


def test_no_table_is_a_constant_of_the_graph(exports):
    graph = read_saved_model(exports["neumf"]).meta_graphs[0].graph_def
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    assert max(node.ByteSize() for node in nodes if node.op == "Const") < 10_000


def test_two_exports_of_a_run_are_equal_byte_for_byte(saved_run, exports, tmp_path):
    again = export_run(saved_run, tmp_path, "gmf-t_ce-0", export_config("gmf"))
    for path in (path for path in exports["gmf"].rglob("*") if path.is_file()):
        assert (again / path.relative_to(exports["gmf"])).read_bytes() == path.read_bytes(), path.name


def test_the_next_version_has_the_next_number(saved_run, tmp_path):
    config = ExportConfig(k=3, signatures=("recommend",))
    first = export_run(saved_run, tmp_path, "gmf-t_ce-0", config, version=7)
    second = export_run(saved_run, tmp_path, "cdae-t_ce-0", config.model_copy(update={"name": "gmf"}))
    assert (first.name, second.name) == ("7", "8")
    assert read_metadata(second)["trained_model"] == "cdae-t_ce-0"
    assert set(load_served(second).signatures) == {"recommend", "serving_default"}
    with pytest.raises(DataError, match=r"Version 7 is there already: .*gmf/7\. A version is never overwritten\."):
        export_run(saved_run, tmp_path, "gmf-t_ce-0", config, version=7)
    assert [path.name for path in seen_by_server(tmp_path / "gmf")] == ["7", "8"]


def test_the_best_model_of_the_run_is_exported_under_its_own_name(saved_run, tmp_path):
    said = []
    version = export_run(saved_run, tmp_path, config=ExportConfig(k=3), say=said.append)
    assert read_metadata(version)["trained_model"] == saved_run.best()
    assert version == tmp_path / saved_run.best().split("-")[0] / "1"
    reason = f"{saved_run.best()} was not trained with warm-up and collide.enabled."
    assert said == [f"No signature recommend_colliding: {reason}"]


def test_warm_up_records_carry_requests_and_answers(exports, served):
    records = read_warmup(exports["cdae"])
    assert {record.signature for record in records} == {*COMMON, "recommend_from_history"}
    assert {len(next(iter(record.request.values()))) for record in records} == {1, 8, 32}
    record = next(record for record in records if record.signature == "recommend" and len(record.request["user_id"]) == 8)
    found = served("cdae").signatures["recommend"](user_id=tf.constant(record.request["user_id"]))
    np.testing.assert_allclose(found["scores"], record.answer["scores"], rtol=1e-5)
    assert not record.answer["known_user"].all()


def test_the_metadata_say_what_was_exported(saved_run, exports):
    metadata = read_metadata(exports["gmf"])
    assert metadata["run"] == str(saved_run.folder)
    assert metadata["tensorflow"] == tf.__version__
    assert metadata["data_fingerprint"] == saved_run.data.manifest["fingerprint"]
    assert metadata["denoise"] == {"calibrated": True, "known_feedback": len(saved_run.data.train)}
    assert metadata["test_metrics"].keys() >= {"recall@5", "ndcg@10"}


@keras.saving.register_keras_serializable("tests")
class Halves(GMF):
    """A model that nobody has told the exporter of."""

    def score_users(self, users):
        return super().score_users(users) / 2


def test_a_new_model_needs_no_serving_code(tmp_path, monkeypatch):
    monkeypatch.setitem(registry.MODELS, "halves", f"{__name__}:Halves")
    data = checkerboard()
    model = Halves.from_interactions(data, embedding_dim=4)
    version = export_model(model, data, tmp_path / "halves", ExportConfig(k=4), data.history())
    found = load_served(version).signatures["recommend"](user_id=tf.constant(["100"]))
    expected = model.rank([0], 4)
    np.testing.assert_allclose(found["scores"], expected.scores, rtol=1e-5, atol=1e-6)


class CallsPython(GMF):
    def score_users(self, users):
        scores = super().score_users(users)
        return tf.ensure_shape(tf.py_function(lambda x: x, [scores], tf.float32, name="sneaky"), scores.shape)


class HoldsAConstant(GMF):
    def score_users(self, users):
        big = np.random.default_rng(0).random((self.num_items, 20_000)).astype(np.float32)
        return super().score_users(users) + tf.reduce_sum(tf.constant(big), axis=1)


@pytest.mark.parametrize(
    ("cls", "message"),
    [
        (
            CallsPython,
            r"The graph calls Python \(EagerPyFunc 'while/sneaky' in function .*\), which a server does not have\.",
        ),
        (HoldsAConstant, r"The graph holds [\d,]+ bytes as a constant \('.*' in function .*make it a weight"),
    ],
)
def test_a_graph_that_a_server_cannot_run_is_refused_by_name(cls, message, tmp_path):
    data = checkerboard()
    with pytest.raises(DataError, match=message):
        export_model(cls.from_interactions(data, embedding_dim=4), data, tmp_path / "bad", ExportConfig(k=4))
    assert seen_by_server(tmp_path / "bad") == []
    assert [path.name for path in (tmp_path / "bad").iterdir()] == [".tfadt-lock"]


@pytest.mark.parametrize("op", ["Scann>ScannSearchBatched", "NoSuchOp"])
def test_a_custom_operation_is_refused_by_name(exports, op):
    model = read_saved_model(exports["gmf"])
    function = model.meta_graphs[0].graph_def.library.function[0]
    function.node_def.add(name="search", op=op)
    with pytest.raises(DataError, match=rf"operation {op} \('search' in function {function.signature.name}\)"):
        check_graph(model)


def test_weights_that_are_no_numbers_are_not_exported(tmp_path):
    data = checkerboard()
    model = make(GMF, data)
    model.item_table.assign(np.full(model.item_table.shape, np.nan, np.float32))
    with pytest.raises(DataError, match=r"The weight .*item_table \(16, 8\) has values that are not finite"):
        export_model(model, data, tmp_path / "gmf")


@pytest.mark.parametrize(
    ("signatures", "message"),
    [
        (("recomend",), "Unknown signature 'recomend'. Did you mean 'recommend'?"),
        (("recommend_from_history",), "NeuMF cannot rank for users whom training did not know"),
        (("recommend_colliding",), "the model was not trained with warm-up and collide.enabled"),
        (("recommend_integer",), "cannot be exported: each item_id must be an integer, and there is 'i00'."),
    ],
)
def test_a_signature_that_cannot_be_had_is_told(signatures, message, tmp_path):
    data = checkerboard()
    with pytest.raises(ConfigError, match=re.escape(message)):
        export_model(make(NeuMF, data), data, tmp_path / "neumf", ExportConfig(signatures=signatures))


def test_a_missing_serving_api_is_told(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_serving.apis", None)
    data = checkerboard()
    with pytest.raises(ConfigError, match=r"tensorflow-serving-api: pip install 'tfadt\[serving\]'"):
        export_model(make(GMF, data), data, tmp_path / "gmf")
    assert seen_by_server(tmp_path / "gmf") == []


def test_a_name_that_is_no_folder_name_is_refused(saved_run, tmp_path):
    with pytest.raises(ConfigError, match=re.escape("Received: '../x'.")):
        export_run(saved_run, tmp_path, "gmf-t_ce-0", ExportConfig(name="../x"))


def test_an_export_of_other_data_is_refused(tmp_path):
    model = make(GMF, checkerboard())
    with pytest.raises(DataError, match="built for 20 users"):
        export_model(model, checkerboard(users=22), tmp_path / "gmf")


def test_the_saved_model_holds_one_graph_for_the_serve_tag(exports):
    model = read_saved_model(exports["gmf"])
    assert [list(graph.meta_info_def.tags) for graph in model.meta_graphs] == [["serve"]]


def test_colliding_by_vectors_reads_only_the_rows_it_mixes(tmp_path):
    # Grappler would join a lookup of distinct users and a sparse mean into one operation that copies the whole table.
    data = checkerboard()
    neighbors = np.tile(np.arange(data.num_users)[::-1, None], 2)
    neighbors[:, 1] = -1
    scorer = CollidingScorer(make(GMF, data), neighbors, 0.5, "logits")
    config = ExportConfig(k=4, signatures=("recommend_colliding",))
    version = export_model(make(GMF, data), data, tmp_path / "gmf", config, colliding=scorer)
    graph = read_saved_model(version).meta_graphs[0].graph_def
    operations = {node.op for function in graph.library.function for node in function.node_def}
    assert "ResourceGather" in operations
    assert not [name for name in operations if name.startswith("SparseSegment")]
    assert read_metadata(version)["neighbors"] == 2
