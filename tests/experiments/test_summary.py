"""What `results.json` has under `summary`, by hand: the choice, the effect of denoising, where the false positives are."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tfadt.data.interactions import InteractionData, Interactions, Vocabulary
from tfadt.experiments.choice import against_popularity, denoising, deployed
from tfadt.experiments.comparison import comparisons, rows
from tfadt.experiments.curves import dropped_curves, loss_curves, solved_settings
from tfadt.experiments.run import POPULAR, Run
from tfadt.experiments.summary import data_figures, false_positives, groups, oracle_gap

USERS = 40


def run(policy, seed=0, recall=0.2, valid=0.2, model="gmf", disliked=0.1):
    """Returns a run whose users all have one recall, but for a little that no method changes."""
    luck = np.tile([0.01, -0.01], USERS // 2)
    own = recall + luck * (1 + seed)
    frame = pd.DataFrame(
        {
            "user": np.arange(USERS),
            "activity_group": np.arange(USERS) // 10,
            "recall@5": own,
            "precision@5": 0.4 - disliked + 0 * luck,
            "anti_precision@5": disliked + 0 * luck,
        }
    )
    metrics = {"recall@5": float(own.mean()), "false_share@5": disliked / 0.4, "anti_precision@5": disliked}
    return Run(
        model=model,
        policy=policy,
        seed=seed,
        metrics=metrics,
        valid_recall=valid,
        seconds=1.0,
        has_model=policy is not None,
        per_user=frame,
    )


def popular(recall=0.1):
    floor = run(None, recall=recall, valid=None)
    return Run(model=POPULAR, metrics=floor.metrics, seconds=0.1, has_model=False, per_user=floor.per_user)


def test_the_method_with_the_best_mean_on_validation_is_deployed_by_its_best_seed():
    runs = [popular(), run("standard", 0, valid=0.30), run("standard", 1, valid=0.10)]
    runs += [run("t_ce", 0, valid=0.21), run("t_ce", 1, valid=0.25)]
    chosen = deployed(runs)
    assert (chosen.training, chosen.seeds) == ("gmf-t_ce-1", 2)
    assert chosen.valid_recall == pytest.approx(0.23)


def test_oracles_and_controls_are_never_deployed():
    runs = [popular(), run("standard"), run("clean_only", valid=0.9), run("random_drop", valid=0.8)]
    assert deployed(runs).training == "gmf-standard-0"
    assert deployed([popular(), run("clean_only", valid=0.9)]) is None


def test_without_validation_nothing_is_chosen_unless_there_is_no_choice():
    assert deployed([popular(), run("standard", valid=None), run("t_ce", valid=None)]) is None
    assert deployed([popular(), run("standard", valid=None)]).training == "gmf-standard-0"


def test_the_floor_is_compared_over_users():
    runs = [popular(0.1), run("standard", 0, recall=0.2), run("standard", 1, recall=0.3)]
    found = against_popularity(runs, deployed(runs), 5)
    assert found["recall"] == pytest.approx(0.1)
    assert found["difference"] == pytest.approx(0.15)
    assert found["p_value"] < 0.001


def effect_of(runs):
    return denoising(runs, rows(runs), comparisons(runs, ["recall@5", "false_share@5"]), deployed(runs), 5)


def test_the_effect_is_that_of_the_deployed_policy_as_shares_of_plain():
    runs = [popular(), *(run("standard", seed, valid=0.2) for seed in range(5))]
    runs += [run("t_ce", seed, recall=0.22, valid=0.3, disliked=0.08) for seed in range(5)]
    effect = effect_of(runs)
    assert (effect["policy"], effect["deployed"], effect["outcome"]) == ("t_ce", True, "helps")
    recall, false = effect["effects"]["recall"], effect["effects"]["false_share"]
    assert recall["difference"] == pytest.approx(0.02)
    assert recall["change"] == pytest.approx(0.1)
    assert (recall["seeds"], recall["seeds_agree"]) == (5, 5)
    assert (false["plain"], false["denoised"]) == (pytest.approx(0.25), pytest.approx(0.2))
    assert false["change"] == pytest.approx(-0.2)


@pytest.mark.parametrize(
    ("recall", "disliked", "outcome"),
    [(0.2, 0.1, "nothing"), (0.18, 0.1, "harms"), (0.18, 0.08, "trade"), (0.22, 0.1, "helps"), (0.2, 0.12, "harms")],
)
def test_the_outcome_weighs_recall_and_disliked_items(recall, disliked, outcome):
    runs = [popular(), run("standard", valid=0.3), run("t_ce", recall=recall, disliked=disliked)]
    effect = effect_of(runs)
    assert (effect["deployed"], effect["outcome"]) == (False, outcome)


def test_where_the_deployed_model_has_no_policy_the_effect_is_that_on_another_model():
    runs = [popular(), run("standard", model="ease", valid=0.4), run("standard"), run("t_ce"), run("r_ce", valid=0.3)]
    effect = effect_of(runs)
    assert (effect["model"], effect["policy"], effect["seeded"]) == ("gmf", "r_ce", True)
    solved = [run("standard", model="ease"), run("noise_model", model="ease", valid=0.3)]
    assert effect_of([popular(), *solved])["seeded"] is False
    assert effect_of([popular(), run("standard"), run("clean_only"), run("random_drop")]) is None


def test_the_gap_has_a_share_only_where_the_oracle_is_certainly_better():
    runs = [popular(), run("standard"), run("t_ce", recall=0.21, disliked=0.1), run("clean_only", recall=0.24, disliked=0.1)]
    table = rows(runs)
    found = oracle_gap(table, comparisons(runs, ["recall@5", "false_share@5"]), 5)
    assert [(each["policy"], each["metric"]) for each in found] == [("t_ce", "recall@5"), ("t_ce", "false_share@5")]
    assert found[0]["gap"] == pytest.approx(0.04)
    assert found[0]["share"] == pytest.approx(0.25)
    assert found[1]["share"] is None


def test_groups_average_over_seeds():
    runs = [popular(), run("standard", 0, recall=0.2), run("standard", 1, recall=0.3)]
    found = groups(runs, 5)
    assert found[1]["recall"] == pytest.approx([0.25] * 4)


def data_of(pairs, flags):
    user, item = (np.array(column, np.int64) for column in zip(*pairs, strict=True))
    empty = Interactions(np.zeros(0, np.int64), np.zeros(0, np.int64))
    train = Interactions(user, item, None if flags is None else np.array(flags))
    users, items = (Vocabulary(np.arange(codes.max() + 1)) for codes in (user, item))
    return InteractionData(train, empty, empty, users, items)


def test_false_positives_are_counted_in_groups_of_equal_clicks():
    # Item 0 has three clicks, all of them disliked; items 1 and 2 have one each, one of the two disliked.
    data = data_of([(0, 0), (1, 0), (2, 0), (0, 1), (1, 2)], [True, True, True, False, True])
    found = false_positives(data)
    assert found["share"] == pytest.approx(0.8)
    popular_items = found["by_popularity"][-1]
    assert popular_items == {"members": 1, "least": 3, "most": 3, "clicks": 3, "share": 1.0}
    assert sum(group["clicks"] for group in found["by_popularity"]) == 5
    assert [group["least"] for group in found["by_activity"]] == sorted(group["least"] for group in found["by_activity"])
    assert false_positives(data_of([(0, 0)], None)) is None
    assert data_figures(data)["density"] == pytest.approx(5 / 9)


def epochs(**columns):
    frame = pd.DataFrame(columns)
    return frame.assign(model="gmf", policy="t_ce", plan="adt", stage="adt")


def test_curves_are_means_over_seeds():
    logs = epochs(
        epoch=[0, 1, 0, 1],
        seed=[0, 0, 1, 1],
        true_positive_loss=[1.0, 0.5, 3.0, 0.7],
        false_positive_loss=[2.0, 1.0, 2.0, 1.0],
        drop_rate=[0.0, 0.1, 0.0, 0.1],
        drop_precision=[0.0, 0.4, 0.0, 0.6],
        random_precision=[0.2] * 4,
        drop_recall=[0.0, 0.3, 0.0, 0.3],
        random_recall=[0.0, 0.2, 0.0, 0.2],
    )
    (curve,) = loss_curves(logs)
    assert curve["epoch"] == [1, 2]
    assert curve["true_positive_loss"] == pytest.approx([2.0, 0.6])
    (dropped,) = dropped_curves(logs)
    assert (dropped["epoch"], dropped["drop_precision"]) == ([2], [pytest.approx(0.5)])
    assert loss_curves(pd.DataFrame()) == dropped_curves(pd.DataFrame()) == []


def test_what_validation_chose_for_a_closed_form_is_told_by_seed():
    logs = epochs(
        epoch=[0, 1, 0, 1], seed=[0, 0, 1, 1], lambda_=[1.0, 10.0, 1.0, 10.0], selection_score=[0.1, 0.2, 0.3, 0.2]
    )
    assert solved_settings(logs, ["lambda_"]) == {"lambda_": [10.0, 1.0]}


def test_a_policy_whose_strength_validation_chose_is_deployed_of_the_best_model():
    def at(power, seed):
        chosen = {"policy": "noise_model" if power else "standard", "power": power, "gamma": 0.0}
        return replace(run("noise_model", seed, valid=0.29), strength={"chosen": chosen, "frontier": []})

    runs = [popular(), run("standard", 0, valid=0.3), run("standard", 1, valid=0.3), run("t_ce", valid=0.1)]
    chosen = deployed([*runs, at(2.0, 0), at(1.0, 1)])
    assert (chosen.policy, chosen.expected) == ("noise_model", True)
    chosen = deployed([*runs, at(0.0, 0), at(1.0, 1)])
    assert (chosen.policy, chosen.expected) == ("standard", False)
