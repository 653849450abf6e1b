"""Where a run keeps what, inside its folder. Importing this does not import TensorFlow.

config.json            the settings, written before anything is trained
data/                  the artifact of ingest
models/NAME.keras      the trained models
per_user/NAME.parquet  the metrics of each user
warmup/NAME.npy        the users' vectors after warm-up
logs/NAME/STAGE        TensorBoard
trainings/NAME.json    the record of a training, written last: one that has it is finished
checkpoints/NAME       while it is not
collide/               colliding inference
diverged/              batches whose loss was not finite
training.parquet       one row an epoch
results.json, .md      what came out
report.html            the same as a page with pictures
figures/               each picture of it as SVG, its numbers as CSV
"""

from __future__ import annotations

from pathlib import Path

MARKER = ".tfadt-run"
CONFIG = "config.json"
RESULTS = "results.json"
REPORT = "results.md"
EPOCHS = "training.parquet"
PAGE = "report.html"
STUDY = "study.json"
"""What a study was asked for; the folder of any other run has none."""
FOLDERS = ("data", "models", "per_user", "warmup", "logs", "trainings", "checkpoints", "collide", "diverged", "figures")
FILES = (CONFIG, RESULTS, REPORT, EPOCHS, PAGE)


class Layout:
    """The places in the folder of a run.

    Args:
        out: The folder.
    """

    def __init__(self, out: Path):
        self.out = Path(out)

    @property
    def data(self) -> Path:
        """The data set."""
        return self.out / "data"

    @property
    def figures(self) -> Path:
        """The pictures of the page."""
        return self.out / "figures"

    def model(self, name: str) -> Path:
        """The model of a training."""
        return self.out / "models" / f"{name}.keras"

    def per_user(self, name: str) -> Path:
        """The metrics of each user."""
        return self.out / "per_user" / f"{name}.parquet"

    def warmup(self, name: str) -> Path:
        """The users' vectors after warm-up."""
        return self.out / "warmup" / f"{name}.npy"

    def training(self, name: str) -> Path:
        """The record of a finished training."""
        return self.out / "trainings" / f"{name}.json"

    def checkpoints(self, name: str) -> Path:
        """The checkpoints of a training."""
        return self.out / "checkpoints" / name

    def ranking(self, name: str) -> Path:
        """What is ranked already of the test, while a training is not finished."""
        return self.checkpoints(name) / "ranking"

    def logs(self, name: str) -> Path:
        """The logs of a training for TensorBoard."""
        return self.out / "logs" / name

    def collided(self, name: str) -> Path:
        """What colliding inference does for a training; each user's metrics lie beside it."""
        return self.out / "collide" / f"{name}.json"

    def diverged(self, name: str, step: int) -> Path:
        """The batch of a step whose loss was not finite."""
        return self.out / "diverged" / f"{name}-step-{step}.npz"
