"""What is searched: what models and policies declare, and what a configuration adds, changes and takes out."""

from typing import ClassVar

import keras_tuner
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfadt.config import Config
from tfadt.config.loading import load_config, with_settings
from tfadt.denoising.standard import Standard
from tfadt.errors import ConfigError
from tfadt.models.gmf import GMF
from tfadt.registry import MODELS, POLICIES
from tfadt.search_space import Choices, Range
from tfadt.tuning.space import are_tried, declare, present_values, search_space


def space(*overrides, model="gmf", policy="t_ce"):
    return search_space(load_config(overrides=overrides), model, policy)


def message(*overrides, **names):
    with pytest.raises(ConfigError) as caught:
        space(*overrides, **names)
    return str(caught.value)


def test_the_papers_space_is_declared_by_the_policies():
    assert space("tune.over=policy") == {
        "policy.t_ce.max_drop_rate": Choices(0.05, 0.1, 0.2),
        "policy.t_ce.num_gradual": Choices(0.1, 0.25, 0.5, 1.0),
    }
    assert space("tune.over=policy", policy="r_ce") == {"policy.r_ce.beta": Choices(0.05, 0.1, 0.15, 0.2, 0.25, 0.5, 1.0)}
    assert space("tune.over=policy", policy="standard") == {}


def test_models_and_training_add_theirs():
    training = {"adt.learning_rate", "adt.l2", "adt.num_negatives"}
    assert set(space("tune.over=model,training", policy="standard")) == {"model.gmf.embedding_dim", *training}
    # T-CE's rate as a share of all rows would be all of the positives among many negatives.
    assert set(space("tune.over=training", "adt.preset=paper", policy="t_ce")) == {"adt.learning_rate", "adt.l2"}
    strong = {model: space("tune.over=training", model=model) for model in ("gmf", "neumf", "cdae")}
    assert strong["gmf"]["adt.num_negatives"] == strong["neumf"]["adt.num_negatives"] == Choices(1, 4, 16)
    shared = space("tune.over=training", "adt.objective=softmax", "adt.negatives=shared", "adt.num_negatives=512")
    assert shared["adt.num_negatives"] == Choices(128, 512, 2048)
    assert "adt.num_negatives" not in strong["cdae"]  # whose softmax is over all items
    assert set(space("tune.over=model", model="cdae")) == {
        f"model.cdae.{name}" for name in ("hidden_dim", "corruption", "activation")
    }


def test_a_new_model_and_a_new_policy_bring_their_own(monkeypatch):
    class Mine(GMF):
        search_space: ClassVar = {"embedding_dim": Choices(3, 5)}

    class Soft(Standard):
        search_space: ClassVar = {"softness": Range(0.0, 1.0)}

        def __init__(self, softness: float = 0.5):
            self.softness = softness

    monkeypatch.setitem(MODELS, "mine", "tests:Mine")
    monkeypatch.setitem(POLICIES, "soft", "tests:Soft")
    monkeypatch.setattr("tfadt.registry.importlib.import_module", lambda name: type("M", (), {"Mine": Mine, "Soft": Soft}))
    assert space("tune.over=policy,model", model="mine", policy="soft") == {
        "policy.soft.softness": Range(0.0, 1.0),
        "model.mine.embedding_dim": Choices(3, 5, 32),  # its default is one of what is tried
    }


def test_a_configuration_changes_adds_and_takes_out():
    found = space(
        "tune.over=policy",
        "tune.space.policy.t_ce.max_drop_rate=.01,.02",
        "tune.space.policy.t_ce.num_gradual=[]",
        "tune.space.adt.batch_size=512,1024",
        "tune.space.adt.learning_rate={min = 1e-4, max = 1e-2, log = true}",
        "tune.space.model.gmf.embedding_dim={min = 8, max = 64}",
        "tune.space.policy.r_ce.beta=0.3",
    )
    assert found == {
        "policy.t_ce.max_drop_rate": Choices(0.01, 0.02),
        "adt.batch_size": Choices(512, 1024),
        "adt.learning_rate": Range(1e-4, 1e-2, log=True),
        "model.gmf.embedding_dim": Range(8, 64),
    }


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("tune.space.adt.learnin_rate=1.0", "tune.space: Unknown setting 'adt.learnin_rate'. Did you mean 'learning_rate'?"),
        ("tune.space.adt.epochs=1,2", "tune.space: A search cannot vary 'adt.epochs'."),
        ("tune.space.adt.selection=last", "tune.space: A search cannot vary 'adt.selection'."),
        ("tune.space.model.gmf.embeding_dim=1", "tune.space: Unknown setting 'model.gmf.embeding_dim'. Did you mean"),
        ("tune.space.model.gmf.num_users=5", "tune.space: Unknown setting 'model.gmf.num_users'."),
        ("tune.space.model.gmff.embedding_dim=1", "Unknown model 'gmff'. Did you mean 'gmf'?"),
        ("tune.space.evaluate.k=5", "tune.space expects settings such as adt.learning_rate"),
        ("tune.space.adt.batch_size=1,0.5", "expected values of one type (1.0, not 1, beside 0.5). Received: [1, 0.5]."),
        ("tune.space.adt.batch_size=[[1]]", "expected values of one type"),
        ("tune.space.adt.learning_rate={min = 1.0, max = 0.1}", "expected numbers min < max"),
        ("tune.space.adt.learning_rate={min = 0, max = 1, log = true}", "above 0 with log = true"),
        ("tune.space.adt.learning_rate={min = 0.1}", "expected a list of values or {min, max, log}. Received: {'min': 0.1}"),
        ("tune.space.adt.learning_rate={min = 0.1, max = 1.0, step = 2}", "expected a list of values or {min, max, log}"),
    ],
)
def test_what_cannot_be_searched_is_told_in_one_sentence(override, expected):
    text = message(override)
    assert expected in text
    assert "\n" not in text


_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["min", "max", "log", "x"]), inner, max_size=3)
    ),
    max_leaves=5,
)


@given(key=st.sampled_from(["adt.learning_rate", "model.gmf.embedding_dim", "policy.t_ce.num_gradual", "adt"]), value=_ANY)
def test_whatever_a_space_says_it_is_a_space_or_a_config_error(key, value):
    config = Config().model_copy(update={"tune": Config().tune.model_copy(update={"space": _nested(key, value)})})
    try:
        found = search_space(config, "gmf", "t_ce")
        declare(keras_tuner.HyperParameters(), found, config)
    except ConfigError:
        return
    assert all(isinstance(values, Choices | Range) for values in found.values())


def _nested(key, value):
    for part in reversed(key.split(".")):
        value = {part: value}
    return value


def test_the_configurations_own_values_are_tried_and_the_defaults():
    own = ["adt.preset=paper", "adt.learning_rate=0.05", "policy.t_ce.max_drop_rate=.15", "model.gmf.embedding_dim=40"]
    config = load_config(overrides=own)
    found = search_space(config, "gmf", "t_ce")
    assert found["model.gmf.embedding_dim"] == Choices(16, 32, 40, 64, 128)
    assert found["policy.t_ce.max_drop_rate"] == Choices(0.05, 0.1, 0.15, 0.2)
    assert found["adt.learning_rate"] == Range(1e-4, 0.05, log=True)
    values = {
        "policy.t_ce.max_drop_rate": 0.15,
        "policy.t_ce.num_gradual": 0.5,
        "model.gmf.embedding_dim": 40,
        "adt.learning_rate": 0.05,
        "adt.l2": 0.0,
    }
    assert declare(keras_tuner.HyperParameters(), found, config) == present_values(found, config) == values
    assert are_tried(values, found)
    # A grid is of what was declared, and a list of the reader's is left as it is.
    grid = search_space(load_config(overrides=[*own, "tune.tuner=grid"]), "gmf", "t_ce")
    assert grid["model.gmf.embedding_dim"] == Choices(16, 32, 64, 128)
    assert not are_tried(values, grid)
    listed = load_config(overrides=[*own, "tune.space.model.gmf.embedding_dim=8,16"])
    found = search_space(listed, "gmf", "t_ce")
    assert found["model.gmf.embedding_dim"] == Choices(8, 16)
    assert not are_tried(present_values(found, listed), found)


def test_values_keep_their_types():
    found = {
        "policy.r_ce.normalise": Choices(True, False),
        "policy.r_ce.positives_only": Choices(True),
        "adt.negatives": Choices("uniform", "popularity"),
        "model.gmf.embedding_dim": Range(8, 64, log=True),
    }
    paper = load_config(overrides=["adt.preset=paper"])
    values = declare(keras_tuner.HyperParameters(), found, paper)
    assert values == {
        "policy.r_ce.normalise": False,
        "policy.r_ce.positives_only": True,
        "adt.negatives": "uniform",
        "model.gmf.embedding_dim": 32,
    }
    assert [type(value) for value in values.values()] == [bool, bool, str, int]
    config = with_settings(paper, values)
    assert config.policy == {"r_ce": {"normalise": False, "positives_only": True}}
