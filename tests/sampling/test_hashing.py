"""Keys of several streams, hashed together, are those of each alone."""

import numpy as np
import pytest
import tensorflow as tf

from tfadt.sampling.hashing import derive_key, derive_keys, starts


@pytest.mark.parametrize("counter", [3, [0, 2**33, 5], [[1], [2]]])
def test_keys_of_several_streams_are_those_of_each(counter):
    counters = tf.constant(counter, tf.int64)
    found = derive_keys(tf.constant(starts(2**40 + 7, (80, 81, 82))), counters)
    for stream, key in zip((80, 81, 82), found, strict=True):
        np.testing.assert_array_equal(key, derive_key(2**40 + 7, stream, counters))
    assert len({int(key.numpy().flat[0]) for key in found}) == 3
