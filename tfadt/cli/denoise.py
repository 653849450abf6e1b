"""`tfadt denoise`: which training interactions a model takes for noise."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tfadt.cli import options
from tfadt.cli.console import print_lines
from tfadt.cli.startup import load_tensorflow
from tfadt.errors import ConfigError
from tfadt.registry import PLAIN


def denoise(
    run: options.RunFolder,
    out: Annotated[Path, typer.Option(help="File to write, .csv or .parquet.")],
    model: options.ModelName = None,
) -> None:
    """List each training interaction: its loss, its score (share of them with a smaller loss), and whether it is dropped.

    Example: tfadt denoise runs/latest --model gmf-t_ce-0 --out noise.csv
    """
    if out.suffix not in (".csv", ".parquet"):
        raise ConfigError(f"--out must end in .csv or .parquet. Received: '{out}'.")

    load_tensorflow()
    from tfadt.experiments.denoise import finds_noise, noise_scores
    from tfadt.experiments.recommend import to_csv
    from tfadt.experiments.saved import SavedRun
    from tfadt.training.plan import make_policy, settings_of

    saved = SavedRun.open(run)
    name = model or saved.best()
    record = saved.run(name)
    policy_name = str(record.policy)
    settings = settings_of(saved.config, record.model, policy_name)
    policy = make_policy(policy_name, settings)
    scores = noise_scores(saved.load_model(name), saved.data, settings.adt, policy, record.adt_step)
    try:
        if out.suffix == ".csv":
            out.write_text(to_csv(scores), encoding="utf-8")
        else:
            scores.to_parquet(out, index=False)
    except OSError as error:
        raise ConfigError(f"{out} cannot be written: {error.strerror or error}.") from error
    dropped = scores["dropped"]
    print_lines([f"{name}: {len(scores):,} training interactions, {int(dropped.sum()):,} dropped; {out}"])
    if not dropped.any():
        others = ", ".join(other for other in saved.names if saved.run(other).policy != PLAIN)
        hint = f" Choose with --model: {others}." if others else ""
        print_lines([f"The policy {policy_name} drops nothing by its loss.{hint}"])
    elif "false_positive" in scores:
        shares = [float(scores.loc[rows, "false_positive"].mean()) for rows in (dropped, slice(None))]
        print_lines([f"False positives: {shares[0]:.1%} of the dropped, {shares[1]:.1%} of all."])
        if not finds_noise(scores):
            print_lines(["That is no more than chance would find: do not take this list for the noise of these data."])
