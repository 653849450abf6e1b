"""What TFDS asks of every builder, of each configuration of `kuairand_pure`; run by pytest."""

import tensorflow_datasets as tfds

from tfadt.datasets.kuairand_pure import kuairand_pure_dataset_builder


class RawTest(tfds.testing.DatasetBuilderTestCase):
    """The standard log."""

    DATASET_CLASS = kuairand_pure_dataset_builder.Builder
    BUILDER_CONFIG_NAMES_TO_TEST = ["raw"]
    SPLITS = {"train": 4}


class RandomTest(tfds.testing.DatasetBuilderTestCase):
    """The random log."""

    DATASET_CLASS = kuairand_pure_dataset_builder.Builder
    BUILDER_CONFIG_NAMES_TO_TEST = ["random"]
    SPLITS = {"train": 1}
