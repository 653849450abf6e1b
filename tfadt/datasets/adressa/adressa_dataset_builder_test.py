"""What TFDS asks of every builder, of each configuration of `adressa`; run by pytest."""

import tensorflow_datasets as tfds

from tfadt.datasets.adressa import adressa_dataset_builder


class AuthorsTest(tfds.testing.DatasetBuilderTestCase):
    """The authors' files."""

    DATASET_CLASS = adressa_dataset_builder.Builder
    BUILDER_CONFIG_NAMES_TO_TEST = ["authors"]
    SPLITS = {"train": 19, "validation": 6, "test": 6}


class RawTest(tfds.testing.DatasetBuilderTestCase):
    """The published events."""

    DATASET_CLASS = adressa_dataset_builder.Builder
    BUILDER_CONFIG_NAMES_TO_TEST = ["raw", "raw_beam"]
    SPLITS = {"train": 30}
