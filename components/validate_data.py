"""Stage `validate_data`: schema, ranges and drift of the data, before anything is trained on it."""

from __future__ import annotations

from tfadt.components.artifacts.data_validation import DataValidation
from tfadt.components.artifacts.interactions import Interactions
from tfadt.components.component import component
from tfadt.components.signature import Input, Output, Parameter, Previous
from tfadt.config import CollideConfig
from tfadt.config.pipeline import ValidateDataConfig


@component(retries=0)
def validate_data(
    interactions: Input[Interactions],
    validation: Output[DataValidation],
    settings: Parameter[ValidateDataConfig],
    collide: Parameter[CollideConfig],
    previous: Previous[DataValidation] | None = None,
) -> None:
    """Compares the data with what the settings expect and with the pipeline's last run on other data.

    Args:
        interactions: The data set.
        validation: Statistics and anomalies.
        settings: Section `validate_data`.
        collide: Of section `collide` what the data must suffice for: `enabled`, `neighbors`.
        previous: Its own result of that last run.

    Raises:
        ConfigError: If colliding inference is asked for with as many neighbours as there are users.
        DataError: If there is an anomaly and the settings do not only warn of it.
    """
    from tfadt.data.anomalies import check_anomalies, find_anomalies
    from tfadt.data.statistics import statistics

    data = interactions.read()
    collide.check_users(data.num_users)
    found = statistics(data)
    before = None if previous is None else previous.statistics()
    if before is not None and before.simulated != found.simulated:
        before = None  # a trial on the simulation says nothing about a log
    anomalies = find_anomalies(found, settings, before)
    validation.write(found, anomalies, compared=before is not None)
    check_anomalies(anomalies, settings)
    for sentence in anomalies:  # those that stop nothing; of others the error tells
        print(sentence)
