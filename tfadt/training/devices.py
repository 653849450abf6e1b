"""The devices that a training is spread over (`adt.strategy`), and what can be said of them before data are read."""

from __future__ import annotations

from functools import cache

import tensorflow as tf

from tfadt.config import Config
from tfadt.errors import ConfigError


def strategy_of(config: Config) -> tf.distribute.Strategy:
    """Returns the distribution strategy that the settings ask for; under `none` that whose scope the caller is in, if any.

    `mirrored` takes all GPUs, or without one all logical CPU devices.
    """
    return tf.distribute.get_strategy() if config.adt.strategy == "none" else _mirrored()


def check_devices(by_user: bool, config: Config) -> None:
    """Raises ConfigError if a batch has fewer rows, or for models that train by user fewer users, than there are devices."""
    name = "user_batch_size" if by_user else "batch_size"
    size, devices = getattr(config.adt, name), strategy_of(config).num_replicas_in_sync
    if size < devices:
        raise ConfigError(
            f"Each device takes a part of a batch. Expected adt.{name} of at least {devices}, the number of devices, or "
            f"adt.strategy=none. Received: {size}."
        )


@cache
def _mirrored() -> tf.distribute.Strategy:
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return tf.distribute.MirroredStrategy([device.name for device in devices])
