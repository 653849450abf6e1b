"""Settings that the training pipeline refuses, before anything runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from training_pipeline_cases import settings

from tfadt.errors import ConfigError
from tfadt.pipelines.local_runner import StepError, run
from tfadt.pipelines.tune import pipeline_from_config


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("policy.t_ce.max_drop_rat=0.1", "Unknown setting policy.t_ce.max_drop_rat"),
        ("policy.t_ce.max_drop_rate=0.9", "max_drop_rate"),
        ("model.gmf.embedding_dim=0", "gmf"),
        ("adt.models=gmff", "Unknown model 'gmff'"),
        ("push.metric=recal@20", "push.metric"),
        ("push.unless_worse_than=best", "push.unless_worse_than"),
        ("collide.search=scann", "needs the package scann"),
        ("export.signatures=recomend", "Unknown signature 'recomend'. Did you mean 'recommend'"),
    ],
)
def test_wrong_settings_are_refused_before_anything_runs(override: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        run(pipeline_from_config("small", settings(tmp_path / "served", override)), tmp_path / "store")
    assert list(tmp_path.glob("store/artifacts/*")) == []


def test_too_few_users_for_the_neighbours_are_told_before_training(tmp_path: Path) -> None:
    config = settings(tmp_path / "served", "collide.neighbors=1,120")
    with pytest.raises(StepError, match=r"'validate_data' failed: Setting 'collide.neighbors': .* there are \d+ users"):
        run(pipeline_from_config("small", config), tmp_path / "store")
    assert not list((tmp_path / "store" / "artifacts").glob("warmup-*"))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("adt.models=gmf,cdae", r"Expected one of adt.models. Received: gmf, cdae\."),
        ("adt.policies=t_ce,r_ce", r"Expected one of adt.policies. Received: t_ce, r_ce\."),
        ("adt.plans=adt,warmup+adt", r"Expected one of adt.plans. Received: adt, warmup\+adt\."),
        ("adt.plans=adt", r"'collide.enabled': colliding inference needs a training with warm-up and ADT"),
        ("adt.plans=finetune", r"Expected adt\+finetune. Received: finetune\."),
        ("drift.push=beyond", r"'drift': drift.push = 'beyond' needs a limit"),
        ("adt.policies=noise_model", r"'denoising.strength': a pipeline .* chooses no strength.*Received: auto\."),
        ("adt.seeds=2", r"expected adt.seeds = 1. Received: 2\."),
    ],
)
def test_a_pipeline_makes_one_model(override: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        pipeline_from_config("small", settings(tmp_path, override))


@pytest.mark.parametrize("earlier", ["pipeline.daily=true", "adt.start_from=runs/monday"])
def test_a_search_starts_from_no_earlier_run(earlier: str, tmp_path: Path) -> None:
    config = settings(tmp_path, "pipeline.search=true", earlier)
    with pytest.raises(ConfigError, match=r"Expected pipeline.search without pipeline.daily and adt.start_from"):
        pipeline_from_config("small", config)


@pytest.mark.parametrize("override", ["denoising.strength=fixed", "policy.noise_model.power=2", "pipeline.search=true"])
def test_the_strength_of_denoising_is_set_or_searched(override: str, tmp_path: Path) -> None:
    config = settings(tmp_path, "adt.policies=noise_model", override)
    assert "adt" in pipeline_from_config("small", config).steps


def test_a_search_selects_at_the_cut_off_of_training(tmp_path: Path) -> None:
    config = settings(tmp_path, "pipeline.search=true", "evaluate.k=5,10,50", "evaluate.select_k=10")
    steps = pipeline_from_config("small", config).steps
    given = [steps[name].parameters["settings"] for name in ("tune", "adt")]
    assert [each.evaluate.select_k or each.evaluate.k for each in given] == [10, (10,)]
