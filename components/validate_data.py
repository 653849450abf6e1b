"""Stage `validate_data`: schema, ranges and drift of the data, before anything is trained on it."""

from __future__ import annotations

from tfadt.components.artifacts.data_validation import DataValidation
from tfadt.components.artifacts.interactions import Interactions
from tfadt.components.component import component
from tfadt.components.signature import Input, Output, Parameter, Previous
from tfadt.config_pipeline import ValidateDataConfig


@component(retries=0)
def validate_data(
    interactions: Input[Interactions],
    validation: Output[DataValidation],
    settings: Parameter[ValidateDataConfig],
    previous: Previous[DataValidation] | None = None,
) -> None:
    """Compares the data with what the settings expect and with the pipeline's last run on other data.

    Raises:
        DataError: If there is an anomaly and the settings do not only warn of it.
    """
    from tfadt.data.anomalies import check_anomalies, find_anomalies
    from tfadt.data.statistics import statistics

    found = statistics(interactions.read())
    before = None if previous is None else previous.statistics()
    anomalies = find_anomalies(found, settings, before)
    for sentence in anomalies:
        print(sentence)
    validation.write(found, anomalies, compared=before is not None)
    check_anomalies(anomalies, settings)
