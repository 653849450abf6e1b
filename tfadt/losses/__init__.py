"""Losses of rows, and the denoising losses that any Keras model can be compiled with."""

from tfadt.losses.denoising_losses import (
    DropRateSchedule,
    ReweightedBinaryCrossentropy,
    TruncatedBinaryCrossentropy,
)
from tfadt.losses.objectives import OBJECTIVES, Objective, get_objective

__all__ = [
    "OBJECTIVES",
    "DropRateSchedule",
    "Objective",
    "ReweightedBinaryCrossentropy",
    "TruncatedBinaryCrossentropy",
    "get_objective",
]
