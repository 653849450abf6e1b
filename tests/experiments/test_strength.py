"""Automatic strength: which candidate is chosen, what the record keeps, and that it says so where it cannot judge."""

from __future__ import annotations

import numpy as np
import pytest

from tfadt.config.loading import load_config
from tfadt.errors import ConfigError, DataError
from tfadt.evaluation.expected import Expected
from tfadt.experiments.experiment import resume_experiment, run_experiment
from tfadt.experiments.report import write_report
from tfadt.experiments.saved import SavedRun
from tfadt.experiments.strength import Strength, choose, strength_of, strengths
from tfadt.models.noise_ranked import NoiseRanked
from tfadt.training.progress import Progress

SMALL = [
    "ingest.simulated.users=150",
    "ingest.simulated.items=60",
    "ingest.simulated.interactions=4000",
    "ingest.extra_feedback.share=0.4",
    "adt.models=ials",
    "adt.policies=standard,noise_model",
    "model.ials.embedding_dim=8",
    "model.ials.reg=0.02",
    "model.ials.iterations=2",
    "adt.selection=val_recall",
    "evaluate.k=10,20",
    "denoising.powers=2",
    "denoising.gammas=0,2",
    "denoising.max_recall_loss=0.3",
]


def reaches(recall: float, share: float, users: int = 400) -> Expected:
    """Ten hits of every user, of which a share is disliked."""
    return Expected(np.full(users, recall), np.full(users, 10 * share), np.full(users, 10))


def test_the_fewest_disliked_within_one_percent_of_plain_trainings_recall_are_chosen() -> None:
    names = [Strength(), Strength(gamma=1), Strength("noise_model", 1), Strength("noise_model", 3)]
    # .198 is 1 % below .2, .197 more.
    found = [reaches(0.2, 0.12), reaches(0.199, 0.11), reaches(0.1981, 0.1), reaches(0.197, 0.05)]
    best, why = choose(found, 0.01)
    assert names[best] == Strength("noise_model", 1)
    assert "0.1200 to 0.1000 of the hits" in why
    assert choose(found, 0.02)[0] == 3
    assert choose([reaches(0.2, 0.12), reaches(0.2, 0.12 + 1e-9)], 0.01) == (
        0,
        "plain training is expected to show the fewest disliked items",
    )


def test_a_candidate_with_a_better_recall_sets_no_bar() -> None:
    # 1 % below .206 is .2039: of that bar plain training itself would fall short.
    assert choose([reaches(0.2, 0.12), reaches(0.206, 0.12), reaches(0.1985, 0.1)], 0.01)[0] == 2


def test_a_gain_that_may_be_chance_gives_way_to_a_smaller_one_that_is_none() -> None:
    rng = np.random.default_rng(3)
    plain = Expected(np.full(30, 0.2), rng.random(30), np.full(30, 5))
    shaken = Expected(plain.recall, rng.permutation(plain.disliked) - 0.02, plain.hits)
    sure = Expected(plain.recall, plain.disliked - 0.01, plain.hits)
    assert shaken.false_share < sure.false_share < plain.false_share
    assert choose([plain, shaken, sure], 0.01)[0] == 2


def test_a_gain_within_its_noise_is_none() -> None:
    rng = np.random.default_rng(3)
    plain = Expected(np.full(30, 0.2), rng.random(30), np.full(30, 5))
    shaken = Expected(np.full(30, 0.2), rng.permutation(plain.disliked) - 0.01, np.full(30, 5))
    assert shaken.false_share < plain.false_share
    best, why = choose([plain, shaken], 0.01)
    assert best == 0
    assert why.startswith("none, since what is gained may be chance")


def test_the_candidates_of_a_closed_form_are_those_that_weigh_clicks() -> None:
    config = load_config(None, ["denoising.powers=1,0", "denoising.gammas=0.5"])
    assert strengths("ials", config) == [
        *(Strength(gamma=0), Strength(gamma=0.5)),
        *(Strength("noise_model", 1, gamma) for gamma in (0, 0.5)),
        Strength("popularity"),
    ]
    assert [each.policy for each in strengths("gmf", config)[4:]] == ["t_ce", "r_ce", "popularity"]


def test_a_run_keeps_the_choice_and_the_frontier_and_ranks_as_it_says(tmp_path) -> None:
    config = load_config(None, SMALL)
    begun = []

    class Heard(Progress):
        def begin(self, label, total_steps):
            begun.append(label)

    data, runs = run_experiment(config, tmp_path, Heard())
    # The trainings of the candidates go by the name of the one that asked for them.
    assert begun == [
        "ials-standard-0",
        "ials-noise_model-0 strength 1 of 3 (standard)",
        "ials-noise_model-0 strength 2 of 3 (noise_model-2)",
        "ials-noise_model-0 strength 3 of 3 (popularity)",
    ]
    write_report(config, data, runs, tmp_path)
    saved = SavedRun.open(tmp_path)
    run = saved.run("ials-noise_model-0")
    assert run.strength is not None
    assert [(each["policy"], each["power"], each["gamma"]) for each in run.strength["frontier"]] == [
        *(("standard", 0, gamma) for gamma in (0, 2)),
        *(("noise_model", 2, gamma) for gamma in (0, 2)),
        ("popularity", 0, 0),
    ]
    chosen = strength_of(run.strength)
    assert chosen.gamma == 2
    model = saved.load_model(run.name)
    assert isinstance(model, NoiseRanked)
    assert model.taste_dim == 0  # though the noise model of these clicks has taste
    assert model.evaluate(data, k=20)["recall@20"] == run.metrics["recall@20"]
    assert run.valid_recall == model.evaluate(data, split="valid", k=20)["recall@20"]
    assert run.metrics["false_share@20"] < saved.run("ials-standard-0").metrics["false_share@20"]
    assert run.strength["k"] == 10  # the first cut-off, while checkpoints and models are selected at the last
    assert not run.strength["optimistic"]
    # A run that is finished is not trained again, and is the same record.
    assert resume_experiment(tmp_path)[1][-1].strength == run.strength


def test_without_feedback_it_says_that_it_cannot_judge_and_trains_plainly(tmp_path) -> None:
    with pytest.warns(UserWarning, match="so nobody can judge a strength: plain training"):
        _, runs = run_experiment(load_config(None, [*SMALL, "ingest.extra_feedback.share=0"]), tmp_path)
    plain, automatic = runs[1:]
    assert automatic.metrics == plain.metrics
    assert automatic.strength is not None
    assert automatic.strength["chosen"] == {"policy": "standard", "power": 0, "gamma": 0}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["ingest.extra_feedback.share=0.005"], "at least 50 known clicks. Received: "),
        (["policy.noise_model.power=1", "ingest.extra_feedback.share=0"], "'noise_model' trains on extra feedback"),
    ],
)
def test_too_little_feedback_is_refused(settings, message, tmp_path) -> None:
    with pytest.raises(DataError, match=message):
        run_experiment(load_config(None, [*SMALL, *settings]), tmp_path)


def test_feedback_is_asked_for_before_a_training_by_the_settings_of_the_method(tmp_path) -> None:
    own = """method.ials-noise_model={"policy.noise_model.power" = 1}"""
    with pytest.raises(DataError, match="'noise_model' trains on extra feedback"):
        run_experiment(load_config(None, [*SMALL, own, "ingest.extra_feedback.share=0"]), tmp_path)
    assert not (tmp_path / "trainings").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["denoising.policies=clean_only"], "an oracle is not. Received: 'clean_only'"),
        (["denoising.policies=t_cee"], "Unknown policy 't_cee'"),
        (
            ["adt.models=gmf", "adt.preset=paper", "adt.num_negatives=16"],
            "max_drop_rate must be below the share of positives",
        ),
    ],
)
def test_candidates_that_cannot_be_are_refused_before_data_are_read(settings, message, tmp_path) -> None:
    with pytest.raises(ConfigError, match=f"Setting 'denoising.policies': .*{message}"):
        run_experiment(load_config(None, [*SMALL, "ingest.data=missing.csv", *settings]), tmp_path)


@pytest.mark.parametrize("policies", ["standard,noise_model", "noise_model,standard"])
def test_a_candidate_that_is_a_training_of_the_run_is_trained_once(policies, tmp_path) -> None:
    gmf = ["adt.models=gmf", "adt.epochs=3", "adt.batch_size=500", "model.gmf.embedding_dim=8", "denoising.policies=[]"]
    made: dict[str, set[int]] = {}

    class Steps(Progress):
        def begin(self, label, total_steps):
            self.seen = made[label] = set()
            self.total = total_steps

        def advance(self, step, logs):
            self.seen.add(step)

    def trained(policies, folder, listener=None):
        config = load_config(None, [*SMALL, *gmf, f"adt.policies={policies}"])
        _, runs = run_experiment(config, tmp_path / folder, listener)
        return {run.name: run for run in runs}

    both, plain, denoised = trained(policies, "both", Steps()), trained("standard", "plain"), trained("noise_model", "noise")
    one_of_two = ["gmf-standard-0", "gmf-noise_model-0 strength 1 of 2 (standard)"]
    every = made["gmf-noise_model-0 strength 2 of 2 (noise_model-2)"]
    assert len(every) > 1
    assert sorted((made[label] for label in one_of_two), key=len) == [{max(every)}, every]  # the other begins at the end
    for name, alone in (("gmf-standard-0", plain), ("gmf-noise_model-0", denoised)):
        assert both[name].metrics == alone[name].metrics
        assert both[name].epoch == alone[name].epoch
        assert (both[name].strength or {}).get("frontier") == (alone[name].strength or {}).get("frontier")
        assert list((tmp_path / "both" / "logs" / name).rglob("events*"))
    assert not list((tmp_path / "both" / "checkpoints").iterdir())
