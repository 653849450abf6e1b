"""CDAE: a denoising autoencoder over a user's items, with a vector for the user (Wu et al., WSDM'16)."""

from __future__ import annotations

from typing import Any, ClassVar

import keras
import tensorflow as tf

from tfadt.errors import ConfigError
from tfadt.models.recommender import Recommender
from tfadt.sampling.hashing import derive_key, hash32, uniform
from tfadt.sampling.ragged import expand
from tfadt.search_space import Choices, SearchSpace

_ACTIVATIONS = {"relu": tf.nn.relu, "sigmoid": tf.sigmoid, "tanh": tf.tanh}
_STREAM = 0x43


@keras.saving.register_keras_serializable("tfadt")
class CDAE(Recommender):
    """`hidden = activation(sum of W_i over the user's items + V_u + b)`, `logit_i = W'_i . hidden + b'_i`.

    In training each input item is dropped with probability `corruption` and the rest scaled by 1 / (1 - corruption), the
    drop-out noise of the original. The input is all training clicks, those that a policy
    drops from the loss too: so is the space of users, which colliding inference finds neighbours in, even after a warm-up on
    extra feedback alone. Work grows with the users' items, never with users x items: W is gathered and summed by
    segment, and only the cells asked for are decoded.

    The penalty on rows (`adt.l2`) takes the biases b' of the items in, which it leaves alone in GMF and NeuMF.

    Args:
        num_users: Number of users.
        num_items: Number of items.
        hidden_dim: Length of the hidden layer.
        corruption: Probability that an input item is dropped in training, in [0, 1).
        activation: `"relu"`, `"sigmoid"` or `"tanh"`.
        normalise: Whether the sum over the user's items is divided by the square root of their number, as in Mult-DAE (Liang
            et al., WWW'18).
        user_vectors: Whether users have vectors V_u of their own; Mult-DAE does without.
        **kwargs: As in `Recommender`.

    Raises:
        ConfigError: If `corruption` or `activation` is out of range.
    """

    user_batches: ClassVar[bool] = True
    affine_scores: ClassVar[bool] = True
    shared_negatives: ClassVar[bool] = True
    whole_catalogue: ClassVar[bool] = True

    search_space: ClassVar[SearchSpace] = {
        "hidden_dim": Choices(50, 100, 200, 400),
        "corruption": Choices(0.0, 0.2, 0.5),
        "activation": Choices("relu", "sigmoid", "tanh"),
    }

    def __init__(
        self,
        num_users: int,
        num_items: int,
        hidden_dim: int = 200,
        corruption: float = 0.2,
        activation: str = "relu",
        normalise: bool = False,
        user_vectors: bool = True,
        **kwargs: Any,
    ):
        super().__init__(num_users, num_items, **kwargs)
        if not 0 <= corruption < 1:
            raise ConfigError(f"corruption must lie in [0, 1). Received: {corruption}.")
        if activation not in _ACTIVATIONS:
            raise ConfigError(f"activation must be one of {', '.join(_ACTIVATIONS)}. Received: {activation!r}.")
        self.hidden_dim = int(hidden_dim)
        self.corruption = float(corruption)
        self.activation = activation
        self.normalise = bool(normalise)
        self.user_table = self.add_table("user", num_users, hidden_dim) if user_vectors else None
        self.encoder_table = self.add_table("encoder", num_items, hidden_dim)
        self.hidden_bias = self.add_weight(name="hidden_bias", shape=(hidden_dim,), initializer="zeros")
        # The decoder is the output layer of every item: uniform in +-sqrt(3 / fan_in), and its bias beside it.
        limit = (3.0 / hidden_dim) ** 0.5
        self.decoder_table = self.add_table(
            "decoder",
            num_items,
            hidden_dim,
            initializer=keras.initializers.RandomUniform(-limit, limit, seed=self.initializer_seed()),
        )
        self.decoder_bias = self.add_table("decoder_bias", num_items, 1, initializer="zeros")
        self.built = True

    def hidden(self, users: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Returns the hidden vectors of distinct users int64 `[n]`: `[n, hidden_dim]` in the compute dtype."""
        starts = tf.gather(self.history_offsets.value, users)
        counts = tf.gather(self.history_offsets.value, users + 1) - starts
        owner, position = expand(starts, counts)
        kept = None
        if training and self.corruption:
            # Keyed by (seed, step, interaction), so that a resumed run drops the same items.
            chance = uniform(hash32(derive_key(self.seed, _STREAM, self.iteration), position))
            kept = chance >= self.corruption
        items = tf.gather(self.history_items.value, position)
        total = self.lookup_sums(self.encoder_table, items, owner, tf.size(users, tf.int64), kept)
        if kept is not None:
            total /= 1.0 - self.corruption
        total = self._scaled(total, counts)
        if self.user_table is not None:
            total += self.lookup(self.user_table, users)
        return _ACTIVATIONS[self.activation](total + tf.cast(self.hidden_bias, total.dtype))

    def _scaled(self, total: tf.Tensor, counts: tf.Tensor) -> tf.Tensor:
        """Returns sums `[n, hidden_dim]` over as many items as `counts` int64 `[n]` says, as the hidden layer takes them."""
        if not self.normalise:
            return total
        return total * tf.math.rsqrt(tf.maximum(tf.cast(counts, total.dtype), 1.0))[:, None]

    def call(self, inputs: tuple[tf.Tensor, tf.Tensor], training: bool = False) -> tf.Tensor:
        """Returns the logits of the pairs; each distinct user is encoded once."""
        users, items = inputs
        distinct, owner = tf.unique(users, out_idx=tf.int64)
        hidden = tf.gather(self.hidden(distinct, training), owner)
        product = tf.reduce_sum(hidden * self.lookup(self.decoder_table, items), axis=1)
        return tf.cast(product + self.lookup(self.decoder_bias, items)[:, 0], tf.float32)

    def factors(self, users: tf.Tensor, items: tf.Tensor, training: bool = False) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Returns the hidden vectors, and the vectors and biases of the decoder."""
        biases = self.lookup(self.decoder_bias, items)[:, 0]
        return self.hidden(users, training), self.lookup(self.decoder_table, items), biases

    def score_histories(self, items: tf.Tensor) -> tf.Tensor:
        """Returns the logits of all items for users known by their items alone, whose own vector V_u counts as zero.

        Args:
            items: int64 `[B, H]`, distinct in each row, padded with -1.

        Returns:
            float32 `[B, num_items]`.
        """
        cells = tf.where(items >= 0)
        rows = tf.shape(items, tf.int64)[0]
        total = self.lookup_sums(self.encoder_table, tf.gather_nd(items, cells), cells[:, 0], rows)
        total = self._scaled(tf.cast(total, tf.float32), tf.math.count_nonzero(items >= 0, axis=1))
        hidden = _ACTIVATIONS[self.activation](total + self.hidden_bias)
        return self.score_vectors(hidden)

    def user_representation(self, users: tf.Tensor) -> tf.Tensor:
        """Returns the hidden vectors, after the activation."""
        return tf.cast(self.hidden(users), tf.float32)

    def item_vectors(self) -> tf.Tensor:
        """Returns the vectors of the decoder."""
        return tf.convert_to_tensor(self.decoder_table.value)

    def score_vectors(self, vectors: tf.Tensor) -> tf.Tensor:
        """Returns the logits of all items, one matrix product."""
        return tf.matmul(vectors, self.decoder_table.value, transpose_b=True) + self.decoder_bias.value[:, 0]

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "hidden_dim": self.hidden_dim,
            "corruption": self.corruption,
            "activation": self.activation,
            "normalise": self.normalise,
            "user_vectors": self.user_table is not None,
        }
