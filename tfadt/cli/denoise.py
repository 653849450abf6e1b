"""`tfadt denoise`: which training interactions a model takes for noise."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tfadt.atomic import write_atomically, write_text
from tfadt.cli import options
from tfadt.cli.console import print_lines
from tfadt.cli.startup import load_tensorflow
from tfadt.errors import ConfigError, writing
from tfadt.registry import PLAIN, check_name


def denoise(
    run: options.RunFolder,
    out: Annotated[Path, typer.Option(help="File to write, .csv or .parquet; with --format any name.")],
    model: options.ModelName = None,
    clean: Annotated[bool, typer.Option("--clean", help="Only the rows that stay in a clean log.")] = False,
    format: Annotated[str | None, typer.Option(help="Ids and weights alone: recbole, implicit or parquet.")] = None,
) -> None:
    """List each training interaction: loss, score (share with a smaller loss), weight, probability of a false positive.

    Example: tfadt denoise runs/latest --model gmf-t_ce-0 --out noise.csv
    """
    if format is None and out.suffix not in (".csv", ".parquet"):
        raise ConfigError(f"--out must end in .csv or .parquet. Received: '{out}'.")
    from tfadt.experiments.weighted_log import FORMATS, check_weights, write_weighted

    if format is not None:
        check_name("format", FORMATS, format)

    load_tensorflow()
    from tfadt.config.loading import settings_of
    from tfadt.experiments.clean import clean_rows
    from tfadt.experiments.denoise import finds_noise, noise_scores
    from tfadt.experiments.recommend import to_csv
    from tfadt.experiments.saved import SavedRun
    from tfadt.experiments.strength import strength_of, with_strength
    from tfadt.training.plan import make_policy

    saved = SavedRun.open(run)
    name = model or saved.best()
    record = saved.run(name)
    policy_name = str(record.policy)
    settings = settings_of(saved.config, record.model, policy_name)
    if record.strength is not None:
        chosen = strength_of(record.strength)
        policy_name, settings = chosen.policy, with_strength(chosen, settings)
    policy = make_policy(policy_name, settings)
    scores = noise_scores(saved.load_model(name), saved.data, settings.adt, policy, record.adt_step)
    if format is not None:
        check_weights(scores)
    if clean:
        assert record.seed is not None
        stays, why = clean_rows(record.model, record.seed, saved.data, settings)
        scores = scores[stays].reset_index(drop=True)
        print_lines([f"Clean log: {why}."])
    with writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        if format is not None:
            write_weighted(scores, format, out)
        elif out.suffix == ".csv":
            write_text(out, to_csv(scores))
        else:
            write_atomically(out, lambda path: scores.to_parquet(path, index=False))
    dropped = scores["dropped"]
    print_lines([f"{name}: {len(scores):,} training interactions, {int(dropped.sum()):,} dropped; {out}"])
    if not dropped.any():
        others = ", ".join(other for other in saved.names if saved.run(other).policy != PLAIN and other != name)
        hint = f" Others, chosen with --model: {others}." if others else ""
        weighs = policy.knows_weights and policy_name != PLAIN
        weighed = " What it makes of each click is the column weight." if weighs else ""
        print_lines([f"The policy {policy_name} drops nothing by its loss.{weighed}{hint}"])
    elif "false_positive" in scores:
        shares = [float(scores.loc[rows, "false_positive"].mean()) for rows in (dropped, slice(None))]
        print_lines([f"False positives: {shares[0]:.1%} of the dropped, {shares[1]:.1%} of all."])
        if not finds_noise(scores):
            print_lines(["That is no more than chance would find: do not take this list for the noise of these data."])
