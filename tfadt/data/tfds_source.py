"""Any TensorFlow Datasets data set by name, features mapped to our columns. Imports TensorFlow."""

from __future__ import annotations

import pandas as pd
import tensorflow_datasets as tfds

from tfadt.config import Columns
from tfadt.data.accounting import RowAccount
from tfadt.errors import DataError

_ALTERNATIVES = {
    "user": ("user_id", "user", "reviewer_id"),
    "item": ("item_id", "movie_id", "product_id", "business_id", "item"),
    "rating": ("rating", "user_rating", "star_rating", "stars"),
    "dwell_time": ("dwell_time",),
    "false_positive": ("false_positive",),
    "timestamp": ("timestamp",),
}


def read_tfds(name: str, columns: Columns, account: RowAccount) -> pd.DataFrame:
    """Reads all the rows of a data set's `train` split (of all splits where it has no `train`).

    A column name that was not set is looked for under the names that are usual in TFDS, such as `movie_id` and
    `user_rating` of `movielens/100k-ratings`.

    Raises:
        DataError: If the data set is unknown, cannot be had, or lacks a column that was set.
    """
    try:
        builder = tfds.builder(name)
        builder.download_and_prepare()
    except tfds.core.registered.DatasetNotFoundError as error:
        raise DataError(f"There is no TensorFlow Datasets data set '{name}': {str(error).splitlines()[0]}") from error
    except Exception as error:  # TFDS lets the errors of downloaders and parsers of many kinds through
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise DataError(f"The data set '{name}' cannot be downloaded or prepared: {reason}") from error
    splits = ["train"] if "train" in builder.info.splits else list(builder.info.splits)
    features = list(builder.info.features)
    chosen: dict[str, str] = {}
    for ours, usual in _ALTERNATIVES.items():
        wanted = (getattr(columns, ours),) if ours in columns.model_fields_set else usual
        found = next((candidate for candidate in wanted if candidate in features), None)
        if found is not None:
            chosen[ours] = found
    frames = []
    for split in splits:
        dataset = builder.as_dataset(split=split).map(lambda row: {key: row[theirs] for key, theirs in chosen.items()})
        frames.append(tfds.as_dataframe(dataset))
    frame = pd.concat(frames, ignore_index=True)
    for key in frame.columns:
        if frame[key].dtype == object:
            frame[key] = frame[key].map(lambda value: value.decode() if isinstance(value, bytes) else value)
    account.rows_in += len(frame)
    frame = frame.reindex(columns=[key for key in _ALTERNATIVES if key in chosen])
    frame.attrs["columns"] = features
    return frame
