"""The served functions against the model's own ranking, and against rankings by hand on the checkerboard."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from model_cases import SMALL, checkerboard, make
from placement import on_host
from soak import EVERY

from tfadt.data.interactions import InteractionData, Interactions, Vocabulary
from tfadt.errors import DataError
from tfadt.evaluation.ranking import rank
from tfadt.inference.colliding import CollidingScorer
from tfadt.models.cdae import CDAE
from tfadt.models.gmf import GMF
from tfadt.serving.classification import as_example
from tfadt.serving.export import signatures
from tfadt.serving.export.noise import noise_scale
from tfadt.serving.export.signatures import NOTHING, ServedModel
from tfadt.serving.requests import id_bytes

DATA = checkerboard()
K = 6


def logits_of(model, rows):
    return model.predict((rows.user, rows.item), batch_size=65_536, verbose=0)


def serve(model, data=DATA, k=K, exclude_seen=True, false_positive=None, colliding=None):
    noise = noise_scale(logits_of(model, data.train), false_positive)
    return ServedModel(model, data, k, data.history() if exclude_seen else None, noise, colliding)


@pytest.fixture(scope="module", params=SMALL if EVERY else (GMF, CDAE), ids=lambda cls: cls.__name__)
def model(request):
    made = make(request.param, DATA)
    made.compile()
    made.fit(DATA, epochs=3, batch_size=8 if made.user_batches else 64)
    return made


def users(*codes):
    return tf.constant([str(DATA.users.ids[code]) for code in codes])


def test_known_users_get_the_models_ranking(model):
    codes = np.arange(DATA.num_users)
    expected = model.rank(codes, K)
    found = serve(model).recommend(users(*codes))
    assert found["item_ids"].numpy().tolist() == id_bytes(DATA.items.decode(expected.items)).tolist()
    np.testing.assert_allclose(found["scores"], expected.scores, rtol=1e-5, atol=1e-5)
    assert found["known_user"].numpy().all()


def test_seen_items_come_back_when_they_are_not_excluded(model):
    expected = model.rank([3, 4], K, exclude_seen=False)
    found = serve(model, exclude_seen=False).recommend(users(3, 4))
    assert found["item_ids"].numpy().tolist() == id_bytes(DATA.items.decode(expected.items)).tolist()


def test_integer_ids_get_the_same_as_their_text(model):
    items = np.array([7, 3, 2**60 + 1, *range(100, 113)])  # in no order
    data = replace(DATA, items=Vocabulary(items, "item_id"))
    served = serve(model, data)
    asked = np.array([*DATA.users.ids[::-1], 99, -1, np.iinfo(np.int64).max, np.iinfo(np.int64).min])
    found, texts = served.recommend_integer(tf.constant(asked)), served.recommend(tf.constant(asked.astype(str)))
    assert found["item_ids"].dtype == tf.int64
    assert found["item_ids"].numpy().astype(str).tolist() == texts["item_ids"].numpy().astype(str).tolist()
    np.testing.assert_allclose(found["scores"], texts["scores"], rtol=1e-6)
    assert found["known_user"].numpy().tolist() == [True] * 20 + [False] * 4
    longer = serve(model, data, k=20).recommend_integer(tf.constant(DATA.users.ids[:1]))
    empty = longer["scores"].numpy() == np.float32(NOTHING)
    assert ((longer["item_ids"].numpy() == -1) == empty).all()
    assert empty.any()


def test_an_example_gets_its_users_items_as_classes(model):
    served = serve(model)
    known = [str(user_id).encode() for user_id in DATA.users.ids[:3]]
    without_the_feature = b""
    found = served.classify(tf.constant([*map(as_example, [*known, b"nobody"]), without_the_feature]))
    expected = served.recommend(tf.constant([*known, b"nobody", b"nobody"]))
    assert found.keys() == {"classes", "scores"}
    assert found["classes"].numpy().tolist() == expected["item_ids"].numpy().tolist()
    np.testing.assert_allclose(found["scores"], expected["scores"], rtol=1e-6)


def test_no_op_of_a_ranking_by_integers_is_placed_on_the_host(model):
    data = replace(DATA, items=Vocabulary(np.arange(16), "item_id"))
    for k in (K, 20):  # more places than there are items are filled
        function = serve(model, data, k=k).trace(["recommend_integer"])["recommend_integer"]
        assert on_host(function) == []


def test_tables_of_integers_are_held_only_for_the_signature_that_reads_them():
    data = replace(DATA, items=Vocabulary(np.arange(16), "item_id"))

    def held(*names):
        served = serve(make(GMF, DATA), data)
        served.trace(names)
        return sum(variable.shape.num_elements() for variable in served.variables)

    # Of 20 users and 16 items each the sorted ids, their codes, and the ids in the order of codes with -1 at the end.
    assert held("recommend", "recommend_integer") - held("recommend") == (20 + 20 + 21) + (16 + 16 + 17)


def test_an_unknown_user_gets_the_most_popular_items(model):
    counts = np.bincount(DATA.train.item, minlength=DATA.num_items)
    order = np.argsort(-counts, kind="stable")[:K]
    found = serve(model).recommend(tf.constant(["nobody", str(DATA.users.ids[2])]))
    assert found["known_user"].numpy().tolist() == [False, True]
    assert found["item_ids"].numpy()[0].tolist() == id_bytes(DATA.items.ids[order]).tolist()
    assert found["scores"].numpy()[0].tolist() == counts[order].tolist()


def test_a_ranking_longer_than_what_is_left_is_padded(model):
    found = serve(model, k=DATA.num_items + 3).recommend(users(0))
    left = DATA.num_items - DATA.history().counts[0]
    items, scores = found["item_ids"].numpy()[0], found["scores"].numpy()[0]
    assert items.shape == (DATA.num_items + 3,)
    assert (items[:left] != b"").all()
    assert (items[left:] == b"").all()
    assert (scores[left:] == np.float32(NOTHING)).all()
    assert np.isfinite(scores).all()


def test_excluded_items_give_way_to_the_next(model):
    served = serve(model)
    full = served.recommend(users(5, 6))["item_ids"].numpy()
    exclude = [[full[0, 0], b"", b"no such item", full[0, 2]], [b"", b"", b"", b""]]
    found = served.recommend_excluding(users(5, 6), tf.constant(exclude))["item_ids"].numpy()
    expected = [item for item in full[0].tolist() if item not in (full[0, 0], full[0, 2])]
    assert found[0, : K - 2].tolist() == expected
    assert found[1].tolist() == full[1].tolist()


def test_items_are_excluded_for_unknown_users_too(model):
    served = serve(model)
    first = served.recommend(tf.constant(["nobody"]))["item_ids"].numpy()[0]
    found = served.recommend_excluding(tf.constant(["nobody"]), tf.constant([[first[0]]]))["item_ids"].numpy()[0]
    assert found[: K - 1].tolist() == first[1:].tolist()


def test_score_is_what_the_ranking_goes_by(model):
    served = serve(model)
    for user_id in (str(DATA.users.ids[7]), "nobody"):
        ranking = served.recommend(tf.constant([user_id]))
        items = ranking["item_ids"][0]
        found = served.score(tf.fill([K], user_id), items)
        np.testing.assert_allclose(found["score"], ranking["scores"][0], rtol=1e-5, atol=1e-5)
        assert found["known_item"].numpy().all()
    unknown = served.score(users(7), tf.constant(["no such item"]))
    assert unknown["score"].numpy() == np.float32(NOTHING)
    assert not unknown["known_item"].numpy()[0]


def test_denoise_is_the_share_of_training_positives_with_a_smaller_loss(model):
    pairs = DATA.train.take(np.arange(0, len(DATA.train), 7))
    logits = logits_of(model, DATA.train)
    expected = [(logits > own).mean() for own in logits_of(model, pairs)]
    ids = [id_bytes(table.ids[codes]).tolist() for table, codes in ((DATA.users, pairs.user), (DATA.items, pairs.item))]
    found = serve(model).denoise(*map(tf.constant, ids))
    np.testing.assert_allclose(found["noise_share"], expected, atol=1e-4)
    assert "false_positive_probability" not in found


def test_denoise_knows_nothing_of_what_is_not_known(model):
    found = serve(model).denoise(tf.constant(["nobody", "100"]), tf.constant(["i00", "no such item"]))
    assert found["noise_share"].numpy().tolist() == [0.5, 0.5]
    assert found["known_user"].numpy().tolist() == [False, True]
    assert found["known_item"].numpy().tolist() == [True, False]


def test_a_calibrated_denoise_gives_a_probability():
    model = make(GMF, DATA)
    flags = np.zeros(len(DATA.train), bool)
    order = np.argsort(-logits_of(model, DATA.train), kind="stable")  # the smallest losses first
    flags[order[len(order) // 2 :]] = True
    served = serve(model, false_positive=flags)

    def probability(row):
        user, item = DATA.users.ids[DATA.train.user[row]], DATA.items.ids[DATA.train.item[row]]
        return served.denoise(tf.constant([str(user)]), tf.constant([item]))["false_positive_probability"].numpy()[0]

    assert len(DATA.train) >= 100
    assert probability(order[0]) == 0.0
    assert probability(order[-1]) == 1.0
    unknown = served.denoise(tf.constant(["nobody"]), tf.constant(["i00"]))["false_positive_probability"].numpy()[0]
    assert unknown == pytest.approx(0.5, abs=0.01)


def test_a_history_ranks_as_the_user_whose_own_vector_is_zero():
    model = make(CDAE, DATA)
    model.compile()
    model.fit(DATA, epochs=3, batch_size=8)
    model.user_table.assign(np.zeros(model.user_table.shape, np.float32))
    history = DATA.history()
    lists = [history.items[history.offsets[u] : history.offsets[u + 1]] for u in (4, 9)]
    width = max(map(len, lists)) + 3
    request = np.full((2, width), b"", object)
    for row, items in enumerate(lists):
        request[row, 2 : 2 + len(items)] = id_bytes(DATA.items.ids[items])
    request[0, 0], request[1, 0] = request[0, 2], b"no such item"  # an item twice counts once
    served = serve(model)
    found = served.recommend_from_history(tf.constant(request))
    expected = served.recommend(users(4, 9))
    assert found["item_ids"].numpy().tolist() == expected["item_ids"].numpy().tolist()
    np.testing.assert_allclose(found["scores"], expected["scores"], rtol=1e-5, atol=1e-5)
    assert found["known_history"].numpy().all()


def test_a_history_of_nothing_known_gets_the_most_popular_items():
    served = serve(make(CDAE, DATA))
    popular = served.recommend(tf.constant(["nobody"]))
    found = served.recommend_from_history(tf.constant([["", "no such item"], ["i03", ""]]))
    assert found["known_history"].numpy().tolist() == [False, True]
    assert found["item_ids"].numpy()[0].tolist() == popular["item_ids"].numpy()[0].tolist()
    assert b"i03" not in found["item_ids"].numpy()[1]


def test_blocks_change_nothing(model, monkeypatch):
    everybody = users(*range(DATA.num_users))
    whole = serve(model).recommend(everybody)
    monkeypatch.setattr(signatures, "_BLOCK_FLOATS", 3 * DATA.num_items)
    parts = serve(model).recommend(everybody)
    assert parts["item_ids"].numpy().tolist() == whole["item_ids"].numpy().tolist()
    np.testing.assert_allclose(parts["scores"], whole["scores"], rtol=1e-5, atol=1e-6)


@pytest.fixture(scope="module")
def functions():
    served = serve(make(CDAE, DATA))
    names = ("recommend", "recommend_excluding", "recommend_from_history", "score", "denoise")
    return served, served.trace(names)


IDS = st.one_of(
    st.binary(max_size=12),
    st.sampled_from([str(value).encode() for value in DATA.users.ids] + [value.encode() for value in DATA.items.ids]),
)


@settings(max_examples=60)
@given(st.lists(st.tuples(IDS, IDS, st.lists(IDS, min_size=3, max_size=3)), max_size=5))
def test_any_bytes_get_an_answer_of_the_promised_shape(functions, rows):
    _, traced = functions
    size = len(rows)
    user_id = tf.constant([row[0] for row in rows], tf.string)
    item_id = tf.constant([row[1] for row in rows], tf.string)
    lists = tf.reshape(tf.constant([item for row in rows for item in row[2]], tf.string), [size, 3])
    answers = {
        "recommend": traced["recommend"](user_id=user_id),
        "recommend_excluding": traced["recommend_excluding"](user_id=user_id, exclude_item_ids=lists),
        "recommend_from_history": traced["recommend_from_history"](item_ids=lists),
        "score": traced["score"](user_id=user_id, item_id=item_id),
        "denoise": traced["denoise"](user_id=user_id, item_id=item_id),
    }
    for name, answer in answers.items():
        for key, value in answer.items():
            assert value.shape == ((size, K) if key in ("item_ids", "scores") and "recommend" in name else (size,))
            if value.dtype == tf.float32:
                assert np.isfinite(value.numpy()).all()
    for answer in (answers["recommend"], answers["recommend_excluding"]):
        known = [text.decode("latin-1") in {str(value) for value in DATA.users.ids} for text in user_id.numpy()]
        assert answer["known_user"].numpy().tolist() == known
        for ranking in answer["item_ids"].numpy():
            items = [item for item in ranking if item]
            assert len(items) == len(set(items))


@pytest.mark.parametrize(
    ("name", "request_"),
    [
        ("recommend", {"user_id": [["100"], ["101"]]}),
        ("recommend_excluding", {"user_id": ["100", "101"], "exclude_item_ids": [["i00"]]}),
        ("recommend_excluding", {"user_id": ["100"], "exclude_item_ids": ["i00"]}),
        ("score", {"user_id": ["100", "101"], "item_id": ["i00"]}),
        ("denoise", {"user_id": ["100"], "item_id": ["i00", "i01"]}),
        ("recommend_from_history", {"item_ids": ["i00"]}),
    ],
)
def test_requests_of_the_wrong_shape_are_refused(name, request_):
    served = serve(make(CDAE, DATA))
    function = tf.function(getattr(served, name), reduce_retracing=True)
    specs = {key: tf.TensorSpec(None, tf.string) for key in request_}  # as a server, which checks no shapes
    concrete = function.get_concrete_function(**specs)
    with pytest.raises((tf.errors.InvalidArgumentError, ValueError)):
        concrete(**{key: tf.constant(value) for key, value in request_.items()})


def test_an_empty_id_is_refused():
    train = Interactions(np.array([0, 1]), np.array([0, 1]))
    data = InteractionData(train, train, train, Vocabulary(np.array(["", "b"], object)), Vocabulary(np.array([1, 2])))
    with pytest.raises(DataError, match="An empty user_id pads requests"):
        serve(GMF.from_interactions(data), data)


def test_ids_of_any_characters_are_found():
    train = Interactions(np.array([0, 1, 2]), np.array([0, 1, 2]))
    names = np.array(["line\nbreak", "日本語", "tab\tand space "], object)
    data = InteractionData(train, train, train, Vocabulary(names), Vocabulary(names))
    served = serve(GMF.from_interactions(data), data, k=3)
    found = served.recommend(tf.constant(names.tolist()))
    assert found["known_user"].numpy().all()
    assert {text.decode() for text in found["item_ids"].numpy().ravel() if text} <= set(names)


@pytest.mark.parametrize("mix", ["probabilities", "logits"])
def test_colliding_ranks_as_the_scorer_and_names_the_neighbors(model, mix):
    neighbors = np.full((DATA.num_users, 3), -1, np.int64)
    neighbors[4] = [6, 8, -1]
    neighbors[5] = [7, 9, 11]
    scorer = CollidingScorer(model, neighbors, 0.3, mix)
    codes = np.array([4, 5, 10])
    expected = rank(scorer, codes, K, DATA.history())
    found = serve(model, colliding=scorer).recommend_colliding(tf.concat([users(*codes), ["nobody"]], 0))
    assert found["item_ids"].numpy()[:3].tolist() == id_bytes(DATA.items.decode(expected.items)).tolist()
    np.testing.assert_allclose(found["scores"][:3], expected.scores, rtol=1e-5, atol=1e-5)
    assert found["known_user"].numpy().tolist() == [True, True, True, False]
    names = [[b"106", b"108", b""], [b"107", b"109", b"111"], [b"", b"", b""], [b"", b"", b""]]
    assert found["neighbor_ids"].numpy().tolist() == names
    # Without neighbours (above the threshold) and unknown: as `recommend`.
    plain = serve(model).recommend(tf.constant([str(DATA.users.ids[10]), "nobody"]))
    assert found["item_ids"].numpy()[2:].tolist() == plain["item_ids"].numpy().tolist()
