"""What keras-tuner's oracles do not do: survive a kill at any moment, resume a grid, fill brackets larger than the space."""

import json

import keras_tuner
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfadt.config.loading import load_config
from tfadt.tuning.oracles import make_oracle


def oracle(folder, values, *overrides, own=None):
    config = load_config(overrides=list(overrides))
    made = make_oracle(
        config, keras_tuner.Objective("score", "max"), len(values), lambda: None if own is None else dict(own)
    )
    made._set_project_dir(str(folder), "search")
    made.verbose = 0
    hp = keras_tuner.HyperParameters()
    for name, options in values.items():
        hp.Choice(name, options)
    made.update_space(hp)
    return made


def run(made, most=10_000, score=lambda values: 0.0):
    """Runs trials until the oracle stops; returns their values in order."""
    tried = []
    while len(tried) < most:
        trial = made.create_trial("tuner")
        if trial.status == "STOPPED":
            break
        assert trial.status == "RUNNING"
        tried.append(dict(trial.hyperparameters.values))
        made.update_trial(trial.trial_id, {"score": score(trial.hyperparameters.values)})
        trial.status = "COMPLETED"
        made.end_trial(trial)
    return tried


@given(sizes=st.lists(st.integers(1, 5), min_size=1, max_size=4), seed=st.integers(0, 50))
def test_a_grid_tries_every_combination_once(tmp_path_factory, sizes, seed):
    values = {f"p{n}": list(range(size)) for n, size in enumerate(sizes)}
    made = oracle(tmp_path_factory.mktemp("grid"), values, "tune.tuner=grid", "tune.trials=1000", f"tune.seed={seed}")
    tried = []
    while (response := made.populate_space("x"))["status"] == "RUNNING":
        tried.append(tuple(response["values"][name] for name in values))
        made.start_order.append("x")
    size = 1
    for n in sizes:
        size *= n
    assert len(tried) == len(set(tried)) == size


def test_the_first_trials_of_a_grid_are_spread_over_it(tmp_path):
    values = {"a": [1, 2, 3, 4, 5], "b": [1, 2, 3]}
    tried = run(oracle(tmp_path, values, "tune.tuner=grid", "tune.trials=6"))
    assert len(tried) == 6
    assert len({v["a"] for v in tried}) >= 4
    assert len({v["b"] for v in tried}) == 3


@pytest.mark.parametrize("tuner", ["random", "bayesian", "grid", "hyperband"])
def test_a_stopped_search_goes_on_as_if_it_had_not_been(tmp_path, tuner):
    values = {"a": [1, 2, 3, 4, 5], "b": [1, 2, 3]}
    settings = (f"tune.tuner={tuner}", "tune.trials=5", "adt.epochs=9")

    def score(tried):
        return tried["a"] + 10 * tried["b"] + tried.get("tuner/epochs", 0)

    whole = run(oracle(tmp_path / "whole", values, *settings), score=score)
    first = run(oracle(tmp_path / "parts", values, *settings), 3, score)
    again = oracle(tmp_path / "parts", values, *settings)
    again.reload()
    rest = run(again, score=score)
    assert len(whole) >= 5
    if tuner == "bayesian":  # its draws begin anew, the trials that it learns from do not
        assert len(first + rest) == len(whole)
    else:
        assert first + rest == whole


@pytest.mark.parametrize("tuner", ["random", "bayesian", "hyperband"])
def test_the_first_trial_has_the_configurations_own_values_and_no_other_has_them(tmp_path, tuner):
    values, own = {"a": list(range(4)), "b": [1, 2]}, {"a": 3, "b": 2}
    made = oracle(tmp_path, values, f"tune.tuner={tuner}", "tune.trials=8", "adt.epochs=9", own=own)
    first = run(made, 1)
    again = oracle(tmp_path, values, f"tune.tuner={tuner}", "tune.trials=8", "adt.epochs=9", own=own)
    again.reload()
    # Of eight combinations: hyperband's first round, what Bayesian draws, and all.
    others = {"random": 7, "bayesian": 2, "hyperband": 7}[tuner]
    tried = [{name: trial[name] for name in values} for trial in first + run(again, others)]
    assert tried[0] == own
    assert len(tried) == others + 1
    assert own not in tried[1:]


def test_a_trial_that_was_running_is_run_again_and_one_half_made_never_began(tmp_path):
    values = {"a": list(range(50))}
    made = oracle(tmp_path, values, "tune.trials=5")
    run(made, 2)
    running = made.create_trial("tuner")
    # Killed between writing the next trial's file and the state that knows it.
    stray = tmp_path / "search" / "trial_3"
    stray.mkdir()
    (stray / "trial.json").write_text(json.dumps({**running.get_state(), "trial_id": "3"}))
    again = oracle(tmp_path, values, "tune.trials=5")
    again.reload()
    trial = again.create_trial("tuner")
    assert (trial.trial_id, trial.hyperparameters.values) == (running.trial_id, running.hyperparameters.values)
    trial.status = "FAILED"
    again.end_trial(trial)
    assert len(run(again)) == 2
    assert sorted(again.trials) == ["0", "1", "2", "3", "4"]


def test_files_are_replaced_whole(tmp_path, monkeypatch):
    made = oracle(tmp_path, {"a": [1, 2, 3]}, "tune.trials=3")
    run(made, 1)
    before = (tmp_path / "search" / "oracle.json").read_text()

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tfadt.atomic.os.replace", full)
    with pytest.raises(OSError, match="No space"):
        made.save()
    assert (tmp_path / "search" / "oracle.json").read_text() == before


def test_hyperband_goes_on_with_fewer_combinations_than_a_bracket_wants(tmp_path):
    # Nine epochs: the first bracket begins with nine trials, and there are four combinations.
    tried = run(
        oracle(tmp_path, {"a": [1, 2, 3, 4]}, "tune.tuner=hyperband", "adt.epochs=9"), score=lambda values: values["a"]
    )
    epochs = [values["tuner/epochs"] for values in tried]
    assert epochs == [1, 1, 1, 1, 3, 3, 9]
    assert [values["a"] for values in tried[4:]] == [4, 3, 4]


def test_failures_in_a_row_do_not_end_a_search(tmp_path):
    made = oracle(tmp_path, {"a": list(range(50))}, "tune.trials=10")
    for _ in range(9):
        trial = made.create_trial("tuner")
        trial.status = "FAILED"
        made.end_trial(trial)
    assert len(run(made)) == 1


def test_nothing_to_vary_is_one_trial(tmp_path):
    for tuner in ("random", "hyperband", "bayesian", "grid"):
        assert run(oracle(tmp_path / tuner, {}, f"tune.tuner={tuner}")) == [{}]


def test_a_worker_hears_of_the_end_when_the_others_are_done(tmp_path):
    made = oracle(tmp_path, {"a": [1, 2, 3]}, "tune.trials=2")
    first, second = made.create_trial("one"), made.create_trial("two")
    first.status = "FAILED"
    made.end_trial(first)
    assert made.create_trial("one").status == "IDLE"
    assert made.tuner_ids == {"one", "two"}  # The chief would leave before a worker that it does not know of.
    second.status = "FAILED"
    made.end_trial(second)
    assert made.create_trial("one").status == "STOPPED"
    assert made.create_trial("two").status == "STOPPED"
    assert not made.tuner_ids


def test_the_trial_of_a_silent_worker_goes_to_another_once(tmp_path):
    made = oracle(tmp_path, {"a": [1, 2, 3]}, "tune.trials=2")
    lost, other = made.create_trial("one"), made.create_trial("two")
    for name in ("one", "two"):
        made.heard[name] -= 100
    made.get_trial(other.trial_id)  # as a worker does that is at it
    assert made.give_up_silent(60) == ["one"]
    other.status = "FAILED"
    made.end_trial(other)
    assert made.create_trial("two") is lost
    made.heard["two"] -= 100
    assert made.give_up_silent(60) == ["two"]
    assert (lost.status, made.ongoing_trials, made.tuner_ids) == ("FAILED", {}, set())
    assert lost.message.startswith("Its worker fell silent, and so did the one that had it before")
    # The first comes back: the trial has ended, and so has the search.
    made.end_trial(lost)
    assert made.end_order == [other.trial_id, lost.trial_id]
    assert made.create_trial("one").status == "STOPPED"


def test_a_silent_worker_may_come_back_with_its_trial(tmp_path):
    made = oracle(tmp_path, {"a": [1, 2, 3]}, "tune.trials=1")
    trial = made.create_trial("one")
    made.heard["one"] -= 100
    assert made.give_up_silent(60) == ["one"]
    made.update_trial(trial.trial_id, {"score": 1.0})
    trial.status = "COMPLETED"
    made.end_trial(trial)
    assert made.create_trial("two").status == "STOPPED"
    assert made.create_trial("one").status == "STOPPED"
