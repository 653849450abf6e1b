"""What TFDS asks of every builder, of each configuration of `amazon_book`; run by pytest."""

import tensorflow_datasets as tfds

from tfadt.datasets.amazon_book import amazon_book_dataset_builder


class AuthorsTest(tfds.testing.DatasetBuilderTestCase):
    """The authors' files."""

    DATASET_CLASS = amazon_book_dataset_builder.Builder
    BUILDER_CONFIG_NAMES_TO_TEST = ["authors"]
    SPLITS = {"train": 19, "validation": 6, "test": 6}


class RawTest(tfds.testing.DatasetBuilderTestCase):
    """The published reviews."""

    DATASET_CLASS = amazon_book_dataset_builder.Builder
    BUILDER_CONFIG_NAMES_TO_TEST = ["raw", "raw_beam"]
    SPLITS = {"train": 15}
