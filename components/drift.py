"""Stage `drift`: new data beside an earlier run, and what that says about the push."""

from __future__ import annotations

from tfadt.components.artifacts.drift_report import DriftReport
from tfadt.components.artifacts.earlier_run import EarlierRun
from tfadt.components.artifacts.interactions import Interactions
from tfadt.components.component import component
from tfadt.components.signature import Input, Output, Parameter
from tfadt.config import DriftConfig


@component(accelerated=True)
def drift(
    interactions: Input[Interactions],
    earlier_run: Input[EarlierRun],
    report: Output[DriftReport],
    settings: Parameter[DriftConfig],
) -> None:
    """Compares the data with those of the earlier run, and ranks what users clicked since by its model.

    Args:
        interactions: The new data.
        earlier_run: The run, if there is one.
        report: The figures, and whether a model of the new data is to be pushed.
        settings: Section `drift`.

    Raises:
        ConfigError: If there is a limit of what the logs do not tell.
        DataError: If the earlier run has every click of the data.
    """
    from tfadt.experiments.drift import decide, exceeded
    from tfadt.experiments.drift import drift as compare

    earlier = earlier_run.read()
    if earlier is None:
        report.write(None, True, "There is no earlier run.")
        return
    saved, name = earlier
    found = compare(saved, name, interactions.read())
    sentences = exceeded(found, settings.limits.given(), f"recall@{saved.config.evaluate.k[0]}")
    push, reason = decide(sentences, settings)
    report.write(found, push, reason)
    print(f"{'To be pushed' if push else 'Not to be pushed'}: {reason}")
