"""`tfadt tune`: search for the settings that rank validation best, with keras-tuner."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import Annotated, Any

import typer

from tfadt.cli import options
from tfadt.cli.console import print_lines, print_table
from tfadt.cli.search_table import search_progress
from tfadt.cli.startup import check_early, load_tensorflow
from tfadt.config.loading import load_config
from tfadt.errors import ConfigError, InterruptedRunError
from tfadt.registry import policy_label
from tfadt.tuning.progress import short, shown


@options.reads_log
def tune(
    config: options.Config = None,
    *,
    source: options.Source,
    model: Annotated[str | None, typer.Option(help="Comma-separated, such as gmf,ials.")] = None,
    policy: Annotated[str | None, typer.Option(help="Comma-separated, such as standard,t_ce,noise_model.")] = None,
    tuner: Annotated[str | None, typer.Option(help="random, bayesian, hyperband or grid.")] = None,
    trials: Annotated[int | None, typer.Option(help="Trials of each model and policy.")] = None,
    objective: Annotated[str | None, typer.Option(help="Ranking metric on validation, such as ndcg@50.")] = None,
    set_: options.Sets = None,
    out: Annotated[Path | None, typer.Option(help="Output folder; default: searches/latest.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier search in the output folder.")] = False,
    resume: Annotated[Path | None, typer.Option(help="Folder of a search to go on with; goes with --trials alone.")] = None,
    jobs: options.Jobs = None,
    quiet: options.Quiet = False,
) -> None:
    """Search for the best settings of each model and policy, judged on validation; the test split is not touched.

    Example: tfadt tune --data clicks.csv --model gmf --policy t_ce,r_ce --trials 20 --out searches/clicks
    """
    stage = {"tuner": tuner, "trials": trials, "objective": objective}
    adt: dict[str, Any] = {"models": options.names(model), "policies": options.names(policy)}
    given = {"ingest": source, "adt": _given(adt), "tune": _given(stage)}
    if resume is not None and (out or overwrite or config or source or given["adt"] or set_ or tuner or objective):
        raise ConfigError(f"--resume goes on with the settings of {resume}. Expected none but --trials beside it.")
    settings = load_config(config, set_ or [], given)

    if resume is None:
        check_early(settings)
    load_tensorflow()
    from tfadt.tuning.search import resume_search, run_search

    folder = resume or out or Path("searches/latest")
    try:
        with search_progress(quiet) as listener:
            if resume is None:
                found = run_search(settings, folder, listener, overwrite=overwrite, jobs=jobs)
            else:
                found = resume_search(folder, trials, listener, jobs)
    except (InterruptedRunError, KeyboardInterrupt) as error:
        code = error.exit_code if isinstance(error, InterruptedRunError) else 130
        raise InterruptedRunError(f"Stopped. Go on with: tfadt tune --resume {quote(str(folder))}", code) from error
    if found is None:
        print_lines(["The search is over; its results are with the chief."])
        return
    rows = []
    for search in found.searches:
        best = search.best
        failed = sum(trial.score is None for trial in search.trials)
        score, chosen = ("", "") if best is None else (f"{best.score:.4f}", _settings(best.settings))
        rows.append([search.model, policy_label(search.policy), str(len(search.trials)), str(failed), score, chosen])
    print_table(["model", "policy", "trials", "failed", found.objective, "best settings"], rows)
    print_lines(
        [
            f"Written to {folder}: hyperparameters.json, best.toml and one .toml for each model and policy, "
            "logs (TensorBoard).",
            f"Train with the best: tfadt run {quote(str(folder / 'best.toml'))} --seeds 5",
        ]
    )


def _given(settings: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if value is not None}


def _settings(settings: dict[str, Any]) -> str:
    return ", ".join(f"{short(key)} {shown(value)}" for key, value in settings.items()) or "nothing to vary"
