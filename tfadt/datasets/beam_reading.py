"""Reading with Apache Beam: each worker reads ranges of the files. Importing this module imports Beam."""

from __future__ import annotations

from collections.abc import Iterator

import apache_beam as beam
import tensorflow_datasets as tfds

from tfadt.data.cleaning import Account
from tfadt.datasets.account import ROWS, total
from tfadt.datasets.files import FileRange
from tfadt.datasets.rows import Example, RowReader

_ACCOUNTS = "accounts"


class _ReadRange(beam.DoFn):
    """Reads one range; puts out its examples, and its account beside them."""

    def __init__(self, reader: RowReader) -> None:
        self._reader = reader

    def process(self, part: FileRange) -> Iterator[tuple[int, Example] | beam.pvalue.TaggedOutput]:
        """Yields keys and examples, at last the account and the number of rows kept."""
        account, kept = Account(), 0
        for key, example in self._reader.read(part, account):
            kept += 1
            yield key, example
        yield beam.pvalue.TaggedOutput(_ACCOUNTS, (account, kept))


def read_with_beam(
    split: str, reader: RowReader, parts: list[FileRange], metadata: tfds.core.BeamMetadataDict
) -> beam.PTransform:
    """Returns the transform that makes keys and examples of the ranges, and puts their account into the metadata."""

    @beam.ptransform_fn
    def read(pipeline: beam.Pipeline) -> beam.PCollection:
        outputs = (
            pipeline
            | "Ranges" >> beam.Create(parts)
            | "Spread" >> beam.Reshuffle()
            | "Read" >> beam.ParDo(_ReadRange(reader)).with_outputs(_ACCOUNTS, main="examples")
        )
        metadata[ROWS] = (
            outputs[_ACCOUNTS]
            | "Accounts" >> beam.combiners.ToList()
            | "Total" >> beam.Map(lambda accounts: {split: total(accounts, parts)})
        )
        return outputs["examples"]

    return read()
