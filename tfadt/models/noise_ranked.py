"""A trained model whose ranking leaves out what the noise model expects to be disliked."""

from __future__ import annotations

from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from tfadt.data.interactions import InteractionData, Interactions
from tfadt.denoising.noise_model import NoiseModel
from tfadt.errors import ConfigError
from tfadt.models.closed_form import ClosedForm
from tfadt.models.recommender import Recommender
from tfadt.sampling.batches import BatchSource

Scale = Literal["scores", "probabilities", "exponentials"]


def scale_of(model: Recommender) -> Scale:
    """Returns what a model's scores are: see `NoiseRanked`."""
    if isinstance(model, ClosedForm):
        return "scores"
    return "probabilities" if model.objective in ("binary_crossentropy", "square") else "exponentials"


@keras.saving.register_keras_serializable("tfadt")
class NoiseRanked(Recommender):
    """Ranks by a model's score times `(1 - p) ** gamma`, p being the noise model's chance that the user dislikes the item.

    What is multiplied goes by what the model's scores s are:

    - `"scores"` (closed forms): `s (1 - p)^gamma` for s above 0, and `s (1 - p)^-gamma` below, so that a larger p never
      raises an item.
    - `"probabilities"` (cross-entropy and square loss, s a logit): `log(sigmoid(s) (1 - p)^gamma)`.
    - `"exponentials"` (softmax and BPR, which know s up to a constant of the user): `log(exp(s) (1 - p)^gamma)`.

    p is that of an item that the user has not clicked. A user known by a history alone has the noise model's mean user bias.
    It trains no further, and offers all else that the model does.

    Args:
        inner: The trained model.
        gamma: Strength, at least 0; 0 ranks as the model does.
        taste_dim: Length of the noise model's vectors.
        scale: What the scores are; by default `scale_of(inner)`.
        **kwargs: As in `keras.Model`.

    Raises:
        ConfigError: If `gamma` is negative.
    """

    def __init__(self, inner: Recommender, gamma: float, taste_dim: int = 0, scale: Scale | None = None, **kwargs: Any):
        if not gamma >= 0:
            raise ConfigError(f"gamma must be at least 0. Received: {gamma}.")
        super().__init__(inner.num_users, inner.num_items, inner.history_size, inner.seed, **kwargs)
        self.inner = inner
        self.policy = inner.policy
        self.gamma = float(gamma)
        self.taste_dim = int(taste_dim)
        self.scale: Scale = scale or scale_of(inner)
        shapes = {
            "noise_bias": (),
            "noise_user_bias": (self.num_users,),
            "noise_item_bias": (self.num_items,),
            "noise_user_taste": (self.num_users, self.taste_dim),
            "noise_item_taste": (self.num_items, self.taste_dim),
            "noise_taste_weight": (),
        }
        for name, shape in shapes.items():
            setattr(
                self, name, self.add_weight(name=name, shape=shape, initializer="zeros", trainable=False, autocast=False)
            )
        if hasattr(inner, "score_histories"):
            self.score_histories = self._score_histories
        self.built = True

    @classmethod
    def of(cls, inner: Recommender, noise: NoiseModel, gamma: float) -> NoiseRanked:
        """Returns a trained model that ranks with a fitted noise model.

        Best with one of users and items alone (`with_taste=False`), as trainings have it: the model itself ranks by taste.
        """
        model = cls(inner, gamma, noise.item_taste.shape[1])
        for name in ("bias", "user_bias", "item_bias", "user_taste", "item_taste", "taste_weight"):
            getattr(model, f"noise_{name}").assign(np.asarray(getattr(noise, name), np.float32))
        model.history_offsets.assign(inner.history_offsets)
        model.history_items.assign(inner.history_items)
        model.users, model.items = inner.users, inner.items
        return model

    # --- scoring

    def call(self, inputs: tuple[tf.Tensor, tf.Tensor], training: bool = False) -> tf.Tensor:
        """Returns the scores of the pairs."""
        users, items = inputs
        tastes = tf.gather(self.noise_user_taste.value, users) * tf.gather(self.noise_item_taste.value, items)
        logits = self.noise_bias.value + tf.gather(self.noise_user_bias.value, users)
        logits += tf.gather(self.noise_item_bias.value, items)
        logits += self.noise_taste_weight.value * tf.reduce_sum(tastes, axis=1)
        return self._mixed(self.inner(inputs, training=training), logits)

    def user_representation(self, users: tf.Tensor) -> tf.Tensor:
        """Returns the model's vector, the noise model's bias and its taste, side by side."""
        bias = tf.gather(self.noise_user_bias.value, users)[:, None]
        return tf.concat([self.inner.user_representation(users), bias, tf.gather(self.noise_user_taste.value, users)], 1)

    def score_vectors(self, vectors: tf.Tensor) -> tf.Tensor:
        """Returns the scores of all items."""
        width = tf.shape(vectors)[1] - self.taste_dim - 1
        bias, taste = vectors[:, width], vectors[:, width + 1 :]
        own = vectors[:, : vectors.shape[1] - self.taste_dim - 1]  # of a known length, which models build on
        return self._mixed(self.inner.score_vectors(own), self._logits(bias, taste))

    def _score_histories(self, items: tf.Tensor) -> tf.Tensor:
        """Returns the scores of all items for histories int64 `[B, H]` without repeats, padded with -1."""
        vectors = tf.gather(self.noise_item_taste.value, tf.maximum(items, 0))
        taste = tf.reduce_sum(vectors * tf.cast(items >= 0, tf.float32)[:, :, None], axis=1)
        bias = tf.fill([tf.shape(items)[0]], tf.reduce_mean(self.noise_user_bias.value))
        return self._mixed(self.inner.score_histories(items), self._logits(bias, taste))

    def _logits(self, user_bias: tf.Tensor, user_taste: tf.Tensor) -> tf.Tensor:
        """Returns the logits of p of all items, `[B, num_items]`."""
        tastes = tf.matmul(user_taste, self.noise_item_taste.value, transpose_b=True)
        biases = self.noise_bias.value + user_bias[:, None] + self.noise_item_bias.value
        return biases + self.noise_taste_weight.value * tastes

    def _mixed(self, scores: tf.Tensor, noise_logits: tf.Tensor) -> tf.Tensor:
        liked = -self.gamma * tf.nn.softplus(noise_logits)  # log (1 - p)^gamma
        if self.scale == "scores":
            return scores * tf.exp(tf.where(scores > 0, liked, -liked))
        return liked + (tf.math.log_sigmoid(scores) if self.scale == "probabilities" else scores)

    # --- what is the model's

    def item_vectors(self) -> tf.Tensor:
        """Returns the model's item vectors."""
        return self.inner.item_vectors()

    def user_space(self) -> np.ndarray:
        """Returns the model's user vectors."""
        return self.inner.user_space()

    @property
    def pairwise(self) -> bool:
        """Whether the rows of the model's objective are pairs."""
        return self.inner.pairwise

    @property
    def listwise(self) -> bool:
        """Whether they are positives against shared negatives or all items."""
        return self.inner.listwise

    def training_rows(self, data: InteractionData) -> Interactions:
        """Returns what the model was trained on."""
        return self.inner.training_rows(data)

    def batch_source(self, *args: Any, **kwargs: Any) -> BatchSource:
        """Returns the source of the model's training batches."""
        return self.inner.batch_source(*args, **kwargs)

    def fit(self, *args: Any, **kwargs: Any) -> keras.callbacks.History:
        """Refuses: the noise model was fitted to what the model was trained on.

        Raises:
            ConfigError: Always.
        """
        del args, kwargs
        raise ConfigError(
            "A model that ranks with a noise model trains no further: fit its `inner`, then NoiseRanked.of(...)."
        )

    def get_compile_config(self) -> None:  # type: ignore[override]
        """Returns None: the model inside says how it was trained."""

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, the model inside serialised."""
        inner = keras.saving.serialize_keras_object(self.inner)
        return {"inner": inner, "gamma": self.gamma, "taste_dim": self.taste_dim, "scale": self.scale}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> NoiseRanked:
        """Builds it from what `get_config` returned."""
        inner = keras.saving.deserialize_keras_object(config["inner"], custom_objects)
        return cls(**{**config, "inner": inner})
