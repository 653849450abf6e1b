"""What TFDS asks of every builder, of each configuration of `kuairec`; run by pytest."""

import tensorflow_datasets as tfds

from tfadt.datasets.kuairec import kuairec_dataset_builder


class RawTest(tfds.testing.DatasetBuilderTestCase):
    """The log."""

    DATASET_CLASS = kuairec_dataset_builder.Builder
    BUILDER_CONFIG_NAMES_TO_TEST = ["raw"]
    SPLITS = {"train": 5}


class SmallTest(tfds.testing.DatasetBuilderTestCase):
    """The matrix that is nearly full."""

    DATASET_CLASS = kuairec_dataset_builder.Builder
    BUILDER_CONFIG_NAMES_TO_TEST = ["small"]
    SPLITS = {"train": 3}
