"""What TFDS asks of every builder, of each configuration of `yelp`; run by pytest."""

import tensorflow_datasets as tfds

from tfadt.datasets.yelp import yelp_dataset_builder


class AuthorsTest(tfds.testing.DatasetBuilderTestCase):
    """The authors' files."""

    DATASET_CLASS = yelp_dataset_builder.Builder
    BUILDER_CONFIG_NAMES_TO_TEST = ["authors"]
    SPLITS = {"train": 19, "validation": 6, "test": 6}


class RawTest(tfds.testing.DatasetBuilderTestCase):
    """The published reviews of restaurants and bars."""

    DATASET_CLASS = yelp_dataset_builder.Builder
    BUILDER_CONFIG_NAMES_TO_TEST = ["raw", "raw_beam"]
    SPLITS = {"train": 12}
