"""Adam in PyTorch's form, for replaying the reference trajectories: epsilon sits inside the bias correction."""

from __future__ import annotations

import keras
import tensorflow as tf


class TorchAdam(keras.optimizers.Adam):
    """`w -= lr / (1 - b1^t) * m / (sqrt(v) / sqrt(1 - b2^t) + eps)`, applied densely."""

    def update_step(self, gradient, variable, learning_rate):
        gradient = tf.convert_to_tensor(gradient)
        # PyTorch corrects the bias in double precision; 1 - b2^t in float32 is off by 6e-5 of itself at the start.
        step = tf.cast(self.iterations + 1, tf.float64)
        correction_1 = tf.cast(1 - self.beta_1**step, variable.dtype)
        correction_2 = tf.cast(1 - self.beta_2**step, variable.dtype)
        m = self._momentums[self._get_variable_index(variable)]
        v = self._velocities[self._get_variable_index(variable)]
        m.assign(self.beta_1 * m + (1 - self.beta_1) * gradient)
        v.assign(self.beta_2 * v + (1 - self.beta_2) * tf.square(gradient))
        rate = tf.cast(learning_rate, variable.dtype) / correction_1
        root = tf.sqrt(v.value) / tf.sqrt(correction_2)
        variable.assign_sub(rate * m.value / (root + self.epsilon))
