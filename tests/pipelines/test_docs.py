"""The Python of docs/pipelines.md runs as it stands, and every configuration describes a pipeline."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tfadt.config import Config
from tfadt.config.loading import load_config
from tfadt.experiments.plans import plans
from tfadt.pipelines.tune import pipeline_from_config

ROOT = Path(__file__).parent.parent.parent
CONFIGS = sorted((ROOT / "pipelines" / "configs").glob("*.toml"))
OF_PIPELINES = [path for path in CONFIGS if path.read_text().startswith("# tfadt pipeline run")]


def test_the_component_of_the_documentation_runs(tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "pipelines.md").read_text(), re.DOTALL)
    small = "simulate=True, simulated={'users': 120, 'items': 60, 'interactions': 2500}"
    assert "simulate=True" in code
    (tmp_path / "popular.py").write_text(code.replace("simulate=True", small))
    command = [sys.executable, "popular.py"]
    first = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert len(first.stdout.strip().splitlines()[-6:]) == 6
    executions = sorted((tmp_path / "runs" / "popular" / "artifacts").iterdir())
    assert [path.name.split("-")[0] for path in executions] == ["ingest", "popularity"]
    subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert sorted((tmp_path / "runs" / "popular" / "artifacts").iterdir()) == executions


def test_there_is_a_pair_of_configurations_for_each_model_and_policy() -> None:
    names = {path.stem for path in OF_PIPELINES}
    pairs = {f"{model}_{policy}" for model in ("gmf", "neumf", "cdae") for policy in ("standard", "t_ce", "r_ce")}
    assert names == pairs | {f"{name}-search" for name in pairs}


@pytest.mark.parametrize("path", OF_PIPELINES, ids=lambda path: path.stem)
def test_a_configuration_opens_with_its_command_and_what_to_expect(path: Path) -> None:
    opening = re.match(r"(#.*\n)+", path.read_text())
    assert opening is not None
    lines = opening[0].splitlines()
    assert lines[0] == f"# tfadt pipeline run pipelines/configs/{path.name}"
    assert re.search(r"minutes? on two cores\. On an earlier split of the simulated default: recall@20 \.\d{3}", opening[0])


@pytest.mark.parametrize("path", OF_PIPELINES, ids=lambda path: path.stem)
def test_a_configuration_names_one_model_and_policy_and_its_pair_the_same(path: Path) -> None:
    config = load_config(path)
    model, _, policy = path.stem.removesuffix("-search").partition("_")
    assert (config.adt.models, config.adt.policies) == ((model,), (policy,))
    assert ("tune" in pipeline_from_config(path.stem, config).steps) == path.stem.endswith("-search")
    other = load_config(path.with_name(f"{model}_{policy}.toml"))
    assert config.model_copy(update={"tune": Config().tune, "pipeline": Config().pipeline}) == other


@pytest.mark.parametrize(
    ("name", "t_ce", "beta", "k"),
    [
        ("adressa", (0.05, 30_000), 0.2, (3, 20)),
        ("amazon_book", (0.1, 30_000), 0.3, (50, 100)),
        ("yelp", (0.1, 30_000), 0.2, (50, 100)),
    ],
)
def test_the_papers_configurations_have_the_authors_settings(
    name: str, t_ce: tuple[float, int], beta: float, k: tuple[int, int]
) -> None:
    path = ROOT / "pipelines" / "configs" / "paper" / f"{name}.toml"
    assert path.read_text().startswith(f"# tfadt run pipelines/configs/paper/{name}.toml ")
    config = load_config(path)
    assert [plan.name for plan in plans(config)] == ["gmf-standard-0", "gmf-t_ce-0", "gmf-r_ce-0"]
    assert (config.ingest.dataset, config.adt.preset, config.adt.selection) == (f"{name}/authors", "paper", "paper")
    assert (config.adt.epochs, config.adt.batch_size, config.adt.num_negatives, config.adt.l2) == (10, 1024, 1, 0.0)
    assert tuple(config.policy["t_ce"][key] for key in ("max_drop_rate", "num_gradual")) == t_ce
    assert config.policy["r_ce"] == {"beta": beta}
    assert config.evaluate.k == k


def test_the_default_configuration_is_what_a_run_does_without_one() -> None:
    spelled_out = load_config(ROOT / "pipelines" / "configs" / "default.toml")
    assert spelled_out == load_config(None, ["ingest.simulate=true"])
