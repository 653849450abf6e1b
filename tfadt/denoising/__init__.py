"""Denoising policies: how much each row of a batch counts. Names are registered in `tfadt.registry`.

`NoiseModel` tells how likely a click is a false positive, for any recommender; it imports no TensorFlow.
"""

from tfadt.denoising.noise_model import NoiseModel

__all__ = ["NoiseModel"]
