"""What TFDS asks of every builder, of each configuration of `modcloth`; run by pytest."""

import tensorflow_datasets as tfds

from tfadt.datasets.modcloth import modcloth_dataset_builder


class RawTest(tfds.testing.DatasetBuilderTestCase):
    """The table."""

    DATASET_CLASS = modcloth_dataset_builder.Builder
    BUILDER_CONFIG_NAMES_TO_TEST = ["raw"]
    SPLITS = {"train": 27}


class ClothingFitTest(tfds.testing.DatasetBuilderTestCase):
    """The other log."""

    DATASET_CLASS = modcloth_dataset_builder.Builder
    BUILDER_CONFIG_NAMES_TO_TEST = ["clothing_fit"]
    SPLITS = {"train": 15}


class DecaTest(tfds.testing.DatasetBuilderTestCase):
    """The given split."""

    DATASET_CLASS = modcloth_dataset_builder.Builder
    BUILDER_CONFIG_NAMES_TO_TEST = ["deca"]
    SPLITS = {"train": 20, "validation": 5, "test": 5}
