"""`tfadt pipeline compile`: the pipeline of a configuration for Kubeflow."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tfadt.cli import options
from tfadt.cli.console import print_lines
from tfadt.cli.pipeline import common
from tfadt.errors import ConfigError


def compile(
    out: Annotated[Path, typer.Option(help="File to write, .yaml.")],
    config: options.Config = None,
    model: common.Model = None,
    policy: common.Policy = None,
    set_: options.Sets = None,
) -> None:
    """Compile a configuration's pipeline for Kubeflow Pipelines v2; needs the extra `kubeflow`.

    Example: tfadt pipeline compile pipelines/configs/gmf_t_ce.toml --set push.to=gs://models --out gmf_t_ce.yaml
    """
    settings = common.settings_of(config, {}, model, policy, set_)
    pipeline = common.pipeline_of(config, settings)
    try:
        from tfadt.pipelines.kubeflow import check_places, compile_pipeline
    except ModuleNotFoundError as error:
        if error.name != "kfp":
            raise
        raise ConfigError("Kubeflow's compiler is missing: pip install 'tfadt[kubeflow]'.") from error
    check_places(settings)
    compile_pipeline(pipeline, out, settings.kubeflow)
    print_lines([f"Compiled {len(pipeline)} steps into {out}, to run in the image {settings.kubeflow.image}."])
