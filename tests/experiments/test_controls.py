"""The controls in a run: T-CE's settings for the random drop, the oracle marked and never chosen."""

from dataclasses import replace

import pytest

from tfadt.config.listing import settings
from tfadt.config.loading import load_config
from tfadt.data.ingest import ingest
from tfadt.errors import ConfigError, DataError
from tfadt.experiments.experiment import run_experiment
from tfadt.experiments.plans import plans, reachable
from tfadt.experiments.report import table_cells, write_report
from tfadt.experiments.saved import SavedRun
from tfadt.training.plan import make_policy

SMALL = [
    "ingest.simulated.users=120",
    "ingest.simulated.items=60",
    "ingest.simulated.interactions=2500",
    "adt.preset=paper",
    "adt.epochs=2",
    "evaluate.k=5,20",
    "model.gmf.embedding_dim=8",
]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "out"
    policies = "adt.policies=standard,t_ce,random_drop,clean_only"
    config = load_config(None, [*SMALL, "adt.models=gmf,ease", policies, "policy.t_ce.max_drop_rate=0.2"])
    data, runs = run_experiment(config, out)
    write_report(config, data, runs, out)
    return out, config, data, runs


def test_the_random_drop_drops_as_much_as_tce_and_the_oracle_the_false_positives(finished):
    _, _, data, runs = finished
    drop_rate = {run.name: run.realised_drop_rate for run in runs}
    assert drop_rate["gmf-random_drop-0"] == pytest.approx(drop_rate["gmf-t_ce-0"], abs=0.05)
    assert drop_rate["gmf-clean_only-0"] == pytest.approx(data.train.false_positive.mean() / 2, rel=1e-3)
    # Both know before training what each interaction weighs, so a closed form takes them as well.
    of_ease = [name for name in drop_rate if name.startswith("ease")]
    assert of_ease == ["ease-standard-0", "ease-random_drop-0", "ease-clean_only-0"]


def test_the_random_drop_has_the_settings_of_tce_unless_it_has_its_own():
    config = load_config(None, [*SMALL, "policy.t_ce.max_drop_rate=0.3", "policy.t_ce.scope=positives"])
    assert make_policy("random_drop", config).get_config() == make_policy("t_ce", config).get_config()
    own = load_config(None, [*SMALL, "policy.t_ce.max_drop_rate=0.3", "policy.random_drop.max_drop_rate=0.1"])
    assert make_policy("random_drop", own).get_config()["max_drop_rate"] == 0.1
    with pytest.raises(ConfigError, match=r"Unknown setting policy\.random_drop\.share"):
        plans(load_config(None, [*SMALL, "policy.random_drop.share=0.1"]))


def test_the_settings_of_the_random_drop_are_listed_with_the_meanings_of_tces():
    own, theirs = (
        {each.key.split(".")[-1]: each.meaning for each in settings(f"policy.{p}")} for p in ("random_drop", "t_ce")
    )
    assert own == theirs
    assert all(own.values())


def test_the_oracle_is_marked_in_the_tables_and_the_best_is_what_the_page_deploys(finished):
    from tfadt.experiments.comparison import rows

    out, config, _, runs = finished
    _, cells = table_cells(rows(runs), config.evaluate.k)
    assert [row[1] for row in cells if "clean" in row[1]] == ["clean_only (oracle, out of reach)"] * 2
    text = (out / "results.md").read_text()
    assert "| gmf | clean_only (oracle, out of reach) |" in text
    assert "- gmf clean_only (oracle, out of reach): recall@5" in text
    saved = SavedRun.open(out)
    assert saved.best() == saved.results["summary"]["deploy"]["training"]
    # Nor is a control, however well it does on validation.
    better = [replace(run, valid_recall=0.9 if run.policy in ("clean_only", "random_drop") else 0.1) for run in saved.runs]
    assert replace(saved, runs=tuple(better)).best() in ("gmf-standard-0", "gmf-t_ce-0", "ease-standard-0")


def test_without_feedback_the_oracle_is_refused_before_anything_is_trained(tmp_path):
    settings = [*SMALL, "adt.models=gmf", "adt.policies=clean_only", "ingest.feedback.rule=none"]
    with pytest.raises(DataError, match=r"The policy 'clean_only' .* needs feedback on the training interactions"):
        run_experiment(load_config(None, settings), tmp_path / "run")
    assert not (tmp_path / "run" / "models").exists()


def test_the_oracle_of_the_default_is_left_out_where_nothing_tells_what_is_clean():
    sizes = [setting for setting in SMALL if setting.startswith("ingest.simulated")]
    blind, told = ([*sizes, "adt.models=gmf,ease", f"ingest.feedback.rule={rule}"] for rule in ("none", "auto"))
    for given, oracle in ((blind, []), (told, ["clean_only"])):
        config = load_config(None, given)
        data = ingest(config.ingest)
        found = [(plan.model, plan.policy) for plan in plans(reachable(config, data))]
        assert found == [
            *(("gmf", policy) for policy in ("standard", "t_ce", "r_ce", *oracle)),
            *(("ease", policy) for policy in ("standard", *oracle)),
        ]
    asked = load_config(None, [*blind, "adt.policies=clean_only"])
    assert reachable(asked, ingest(asked.ingest)) == asked


def test_of_the_default_models_those_are_trained_that_the_settings_suit():
    def models(*settings):
        return list(dict.fromkeys(plan.model for plan in plans(load_config(None, settings))))

    assert models() == ["gmf", "neumf", "cdae", "ease", "ials"]
    assert models("adt.plans=adt+finetune") == models("adt.start_from=earlier") == ["gmf", "neumf", "cdae"]
    with pytest.raises(ConfigError, match="'ease' is solved in closed form: there are no weights to go on from"):
        models("adt.plans=adt+finetune", "adt.models=gmf,ease")
