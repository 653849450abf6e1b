"""How the learning rate moves over a run."""

from __future__ import annotations

from typing import Any

import keras

from tfadt.errors import ConfigError

SCHEDULES = ("constant", "cosine")


@keras.saving.register_keras_serializable("tfadt")
class CosineOverRun(keras.optimizers.schedules.CosineDecay):
    """`keras.optimizers.schedules.CosineDecay` from the initial rate to zero over a run, however long that turns out to be.

    Args:
        initial_learning_rate: The rate of the first step.
        decay_steps: Steps of the run; `prepare` settles them where they are not known yet.
    """

    def __init__(self, initial_learning_rate: float, decay_steps: int = 1):
        super().__init__(initial_learning_rate, decay_steps)

    def prepare(self, total_steps: int) -> None:
        """Settles the length of the run, before the train function is traced."""
        self.decay_steps = total_steps

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"initial_learning_rate": self.initial_learning_rate, "decay_steps": self.decay_steps}


def learning_rate(rate: float, schedule: str) -> Any:
    """Returns what a Keras optimizer takes for a learning rate that starts at `rate`.

    Raises:
        ConfigError: If the schedule is unknown.
    """
    if schedule not in SCHEDULES:
        raise ConfigError(
            f"Unknown schedule of the learning rate. Expected one of {', '.join(SCHEDULES)}. Received: '{schedule}'."
        )
    return CosineOverRun(rate) if schedule == "cosine" else rate
