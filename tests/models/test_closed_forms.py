"""Models that are solved for: each against its definition, and what all of them share."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from model_cases import SOLVED, checkerboard, make, random_neighbors

from tfadt.data.interactions import CSR, InteractionData, Interactions, Vocabulary
from tfadt.errors import ConfigError, DataError, OutOfMemoryError
from tfadt.evaluation.ranking import rank
from tfadt.inference.colliding import CollidingScorer
from tfadt.models.ease import EASE
from tfadt.models.ials import IALS
from tfadt.models.popular import Popular
from tfadt.models.ridge import ridge, ridge_of_few

MODELS = pytest.mark.parametrize("cls", SOLVED, ids=lambda cls: cls.__name__)
EVERYBODY = tf.range(20, dtype=tf.int64)


def solved(cls, data=None, weight=None, **settings):
    data = checkerboard() if data is None else data
    model = make(cls, data, **settings)
    model.fit(data, weight=weight)
    return model


def dense(data, weight=None):
    matrix = np.zeros((data.num_users, data.num_items))
    matrix[data.train.user, data.train.item] = 1.0 if weight is None else weight
    return matrix


def random_weights(data):
    return np.random.default_rng(3).uniform(0.2, 2.0, len(data.train))


# --- what all share


@pytest.mark.parametrize("cls", [EASE, IALS])
def test_the_checkerboard_is_solved(cls):
    data = checkerboard(40, 24)
    items, _ = solved(cls, data).rank(np.arange(40), k=2)
    expected = [sorted(data.test.item[data.test.user == u]) for u in range(40)]
    assert [sorted(row) for row in items.tolist()] == expected


@MODELS
def test_pairs_users_vectors_and_space_agree(cls):
    model = solved(cls, weight=random_weights(checkerboard()))
    whole = model.score_users(EVERYBODY).numpy()
    assert whole.shape == (20, 16)
    users, items = (grid.ravel() for grid in np.meshgrid(np.arange(20), np.arange(16), indexing="ij"))
    np.testing.assert_allclose(model.score_pairs(users, items), whole.ravel(), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(model.score_vectors(model.user_representation(EVERYBODY)), whole)
    np.testing.assert_array_equal(model.user_space(), model.user_representation(EVERYBODY))
    assert len(model.item_vectors()) == 16
    assert model.score_pairs([], []).shape == (0,)


@MODELS
def test_saved_and_reloaded_it_scores_and_ranks_the_same(cls, tmp_path):
    model = solved(cls, weight=random_weights(checkerboard()))
    model.save(tmp_path / "model.keras")
    back = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(back.score_users(EVERYBODY), model.score_users(EVERYBODY))
    np.testing.assert_array_equal(back.rank([1], 3).items, model.rank([1], 3).items)
    assert back.recommend([100], 2).equals(model.recommend([100], 2))
    assert (back.get_config(), back.settings) == (model.get_config(), model.settings)


@MODELS
@pytest.mark.parametrize("mix", ["probabilities", "logits"])
def test_it_collides_as_the_equation_says(cls, mix):
    model, neighbors = solved(cls), random_neighbors(20, 5)
    scores = model.score_users(EVERYBODY).numpy().astype(np.float64)
    values = 1 / (1 + np.exp(-scores)) if mix == "probabilities" else scores
    expected = scores.copy()
    for user, row in enumerate(neighbors):
        if (row >= 0).any():
            expected[user] = 0.3 * values[user] + 0.7 * values[row[row >= 0]].mean(axis=0)
    found = CollidingScorer(model, neighbors, 0.3, mix).score_users(EVERYBODY)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@MODELS
def test_a_weight_of_zero_leaves_an_interaction_out(cls):
    data = checkerboard()
    weight = np.random.default_rng(1).integers(0, 2, len(data.train)).astype(float)
    kept = InteractionData(data.train.take(weight > 0), data.valid, data.test, data.users, data.items)
    left_out = solved(cls, data, weight)
    np.testing.assert_allclose(
        left_out.score_users(EVERYBODY), solved(cls, kept).score_users(EVERYBODY), rtol=1e-4, atol=1e-5
    )
    # What is left out of the fit is still left out of the ranking: it was seen.
    seen = set(data.train.item[data.train.user == 2])
    assert not seen & set(left_out.rank([2], 16).items[0])


@MODELS
def test_a_history_alone_scores_as_the_user_who_has_it(cls):
    data = checkerboard()
    model = solved(cls, data)
    items = np.full((2, 9), -1)
    for row, user in enumerate((4, 7)):
        own = data.train.item[data.train.user == user]
        items[row, : len(own)] = own
    found = model.score_histories(tf.constant(items)).numpy()
    if cls is IALS:  # solved anew against the last item vectors, which the user's own vector is half a round behind
        assert [set(np.argsort(-row)[:8]) for row in found] == [set(range(0, 16, 2)), set(range(1, 16, 2))]
        return
    np.testing.assert_allclose(found, model.score_users(tf.constant([4, 7], tf.int64)), rtol=1e-5, atol=1e-6)


@MODELS
def test_misuse_is_refused_with_a_sentence(cls):
    data = checkerboard()
    model = make(cls, data)
    with pytest.raises(ConfigError, match=r"has no optimizer, objective or policy: call fit\(data\)"):
        model.compile("adam")
    with pytest.raises(ConfigError, match=r"has no steps: fit\(data\) takes weight and k\. Received: epochs"):
        model.fit(data, epochs=3)
    with pytest.raises(ConfigError, match=r"is solved for a data set: fit\(data\)\. Received: tuple"):
        model.fit((data.train.user, data.train.item), np.ones(len(data.train)))
    with pytest.raises(ConfigError, match=r"must be 120 finite numbers of at least 0.*Received: shape \(3,\)"):
        model.fit(data, weight=np.ones(3))
    with pytest.raises(ConfigError, match=r"values -1 \.\. 1"):
        model.fit(data, weight=np.where(np.arange(120) == 5, -1.0, 1.0))
    with pytest.raises(DataError, match=r"needs interactions of a weight above 0"):
        model.fit(data, weight=np.zeros(120))
    with pytest.raises(DataError, match=r"built for 20 users and 16 items"):
        model.fit(checkerboard(40, 24))


@pytest.mark.parametrize(("cls", "name"), [(EASE, "lambda_"), (IALS, "reg")])
def test_validation_chooses_from_the_grid_and_without_it_a_value_is_asked_for(cls, name):
    data = checkerboard(40, 24)
    model = make(cls, data, **{name: None})
    history = model.fit(data, k=2).history
    assert history[name] == list(cls.grid[name])
    best = int(np.argmax(history["val_recall@2"]))
    assert model.settings == {name: cls.grid[name][best]}
    again = solved(cls, data, **{name: cls.grid[name][best]})
    everybody = tf.range(40, dtype=tf.int64)
    np.testing.assert_array_equal(model.score_users(everybody), again.score_users(everybody))
    nothing = Interactions(np.array([], np.int64), np.array([], np.int64))
    with pytest.raises(DataError, match=rf"chooses {name} on validation\. Received: no validation"):
        make(cls, data, **{name: None}).fit(InteractionData(data.train, nothing, data.test, data.users, data.items))
    with pytest.raises(ConfigError, match=rf"{name} must be above 0\. Received: 0"):
        make(cls, data, **{name: 0.0})


# --- popular


def test_popular_ranks_by_count_then_code():
    model = Popular(4, 4)
    model.counts.assign([5, 9, 5, 1])
    found = rank(model, np.array([0, 1]), 3, CSR(np.array([0, 0, 1, 1, 1]), np.array([1])))
    assert found.items.tolist() == [[1, 0, 2], [0, 2, 3]]
    assert found.scores.tolist() == [[9, 5, 5], [5, 5, 1]]
    model.counts.assign([2**24 - 2, 2**24 - 1, 0, 0])
    assert rank(model, np.array([0]), 2).items.tolist() == [[1, 0]]


class Scores:
    """The scores of a model, for a ranking that sorts them."""

    def __init__(self, model):
        self.num_users, self.num_items, self.score_users = model.num_users, model.num_items, model.score_users


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("block", [None, 3])
def test_the_walk_down_the_list_equals_a_sort_of_the_scores(seed, block):
    rng = np.random.default_rng(seed)
    users, items = int(rng.integers(1, 9)), int(rng.integers(1, 12))
    model = Popular(users, items)
    model.counts.assign(rng.integers(0, 4, items) / 2)  # Ties are common.
    user, item = np.nonzero(rng.random((users, items)) < rng.choice([0, 0.2, 0.7, 1], users)[:, None])
    seen = None if seed == 0 else CSR.from_pairs(user, item, users, items)
    asked = rng.integers(0, users, 10)  # In any order, and again.
    for k in (1, 4, 15):
        expected = rank(Scores(model), asked, k, seen)
        found = rank(model, asked, k, seen, block)
        np.testing.assert_array_equal(found.items, expected.items)
        np.testing.assert_array_equal(found.scores, expected.scores)
        assert [column.dtype for column in found] == [np.int64, np.float32]


def test_users_who_have_seen_all_get_nothing_and_nobody_gets_no_rows():
    model = Popular(2, 3)
    model.counts.assign([1, 2, 3])
    all_seen = CSR(np.array([0, 3, 4]), np.array([0, 1, 2, 2]))
    assert rank(model, np.array([0, 1]), 2, all_seen).items.tolist() == [[-1, -1], [1, 0]]
    assert rank(model, np.array([], np.int64), 2, all_seen).items.shape == (0, 2)


def test_popular_counts_by_weight_beyond_what_a_float32_sum_can_count():
    weight = np.full(120, 1.0)
    weight[0] = 2.0**25
    model = solved(Popular, weight=weight)
    data = checkerboard()
    item = data.train.item[0]
    assert model.counts.numpy()[item] == np.float32(2.0**25 + (data.train.item == item).sum() - 1)


# --- EASE


@pytest.mark.parametrize("weighted", [False, True])
def test_ease_is_the_ridge_regression_of_each_item_on_all_others(weighted):
    data = checkerboard()
    weight = random_weights(data) if weighted else None
    matrix, model = dense(data, weight), solved(EASE, data, weight, lambda_=3.0)
    expected = np.zeros((16, 16))
    for item in range(16):
        others = np.arange(16) != item
        features = matrix[:, others]
        expected[others, item] = np.linalg.solve(features.T @ features + 3.0 * np.eye(15), features.T @ matrix[:, item])
    np.testing.assert_allclose(model.item_weights.numpy(), expected, atol=1e-6)
    np.testing.assert_allclose(model.score_users(EVERYBODY), matrix @ expected, atol=1e-5)


def test_ease_refuses_a_catalogue_that_does_not_fit_with_the_figure(monkeypatch):
    data = checkerboard()
    model = make(EASE, data)
    monkeypatch.setattr("tfadt.memory.available_memory", lambda: 36 * 16 * 16 - 1)
    with pytest.raises(OutOfMemoryError, match=r"items x items matrix \(16 x 16, 36 bytes a cell\) needs .* GB"):
        model.fit(data)
    monkeypatch.setattr("tfadt.memory.available_memory", lambda: 10**9)
    with pytest.raises(OutOfMemoryError, match=r"1,000,000 x 1,000,000, 4 bytes a cell\) needs 4,000\.0 GB of memory"):
        EASE(10, 1_000_000)


def test_ease_refuses_a_space_of_users_that_does_not_fit(monkeypatch):
    model = solved(EASE)
    monkeypatch.setattr("tfadt.memory.available_memory", lambda: 100)
    with pytest.raises(OutOfMemoryError, match=r"The space of EASE's users \(20 x 16 float32\)"):
        model.user_space()


def test_ease_scores_pairs_in_blocks_of_any_size(monkeypatch):
    model = solved(EASE)
    users, items = np.array([0, 3, 3, 19, 2]), np.array([5, 0, 15, 7, 2])
    expected = model.score_pairs(users, items)
    for cells in (1, 13):
        monkeypatch.setattr("tfadt.models.ease._BLOCK_CELLS", cells)
        np.testing.assert_allclose(model.score_pairs(users, items), expected, rtol=1e-6)


# --- iALS


def objective(matrix, users, items, reg, alpha):
    """The loss of Rendle et al., eqs. 1 to 4 and 7 with nu = 1."""
    scores = users @ items.T
    frequency = [matrix.sum(axis) + alpha * matrix.shape[axis] for axis in (1, 0)]
    penalty = sum((count * (table**2).sum(1)).sum() for count, table in zip(frequency, (users, items), strict=True))
    return (matrix * (scores - 1) ** 2).sum() + alpha * (scores**2).sum() + reg * penalty


@pytest.mark.parametrize("weighted", [False, True])
def test_ials_ends_where_no_item_vector_can_be_better(weighted):
    data = checkerboard()
    weight = random_weights(data) if weighted else None
    model, matrix = solved(IALS, data, weight, reg=0.02, alpha=0.3), dense(data, weight)
    tables = [table.numpy().astype(np.float64) for table in (model.user_table, model.item_table)]
    least = objective(matrix, *tables, 0.02, 0.3)
    rng = np.random.default_rng(0)
    for _ in range(20):
        moved = tables[1] + rng.normal(0, 1e-2, tables[1].shape)
        assert objective(matrix, tables[0], moved, 0.02, 0.3) > least


def test_ials_improves_with_every_iteration():
    data = checkerboard()
    matrix = dense(data)

    def loss(iterations):
        model = solved(IALS, data, iterations=iterations)
        return objective(matrix, model.user_table.numpy(), model.item_table.numpy(), 0.01, 0.1)

    assert loss(1) > loss(2) > loss(4)


@pytest.mark.parametrize("entries", [3, 12])
def test_both_ways_to_solve_a_row_are_the_normal_equations(entries):
    rng = np.random.default_rng(0)
    table, columns = rng.normal(size=(30, 8)).astype(np.float32), rng.integers(0, 30, (5, entries))
    weights = rng.uniform(0, 2, (5, entries)).astype(np.float32)
    weights[0, 1:] = 0  # padded
    penalty = rng.uniform(0.1, 1, 5).astype(np.float32)
    gram = (0.2 * table.T @ table).astype(np.float32)
    expected = []
    for row in range(5):
        vectors = table[columns[row]].astype(np.float64)
        left = gram + (vectors * weights[row][:, None]).T @ vectors + penalty[row] * np.eye(8)
        expected.append(np.linalg.solve(left, vectors.T @ weights[row]))
    np.testing.assert_allclose(ridge(table, gram, columns, weights, penalty), expected, rtol=1e-4, atol=1e-5)
    eigenvalues, axes = np.linalg.eigh(gram)
    found = ridge_of_few(table @ axes, eigenvalues, columns, weights, penalty) @ axes.T
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_ials_weighs_what_was_not_clicked_by_how_much_users_click():
    model = solved(IALS, alpha=None)
    assert float(model.used_alpha.value) == pytest.approx(0.1 * (120 / 20) ** 0.25)


def test_ials_depends_on_its_seed_alone():
    first, again, other = (solved(IALS, seed=seed).get_weights() for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert any(not np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def test_users_and_items_without_interactions_get_zero_vectors():
    train = Interactions(np.array([0, 0, 2]), np.array([0, 1, 1]))
    data = InteractionData(train, train, train, Vocabulary(np.arange(3)), Vocabulary(np.arange(4)))
    model = solved(IALS, data)
    assert not model.user_table.numpy()[1].any()
    assert not model.item_table.numpy()[2:].any()
    assert model.user_table.numpy()[0].any()
