"""Denoising training for recommenders that learn from clicks (Wang et al., arXiv 2112.01160).

The public names below are imported when they are first used, so that `import tfadt` stays free of TensorFlow.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from tfadt._version import __version__

if TYPE_CHECKING:
    from tfadt.config import Config
    from tfadt.config_ingest import IngestConfig
    from tfadt.config_loading import load_config
    from tfadt.data.ingest import from_frame, ingest
    from tfadt.data.interactions import InteractionData, Interactions, Vocabulary
    from tfadt.denoising.negative_reweighting import NR
    from tfadt.denoising.reweighted import RCE
    from tfadt.denoising.standard import Standard
    from tfadt.denoising.truncated import TCE
    from tfadt.inference.colliding import CollidingScorer
    from tfadt.losses import DropRateSchedule, ReweightedBinaryCrossentropy, TruncatedBinaryCrossentropy
    from tfadt.models.cdae import CDAE
    from tfadt.models.gmf import GMF
    from tfadt.models.neumf import NeuMF
    from tfadt.models.nmtr import NMTR
    from tfadt.training.model_files import load_model

_MODULES = {
    "CDAE": "tfadt.models.cdae",
    "GMF": "tfadt.models.gmf",
    "NMTR": "tfadt.models.nmtr",
    "NR": "tfadt.denoising.negative_reweighting",
    "RCE": "tfadt.denoising.reweighted",
    "TCE": "tfadt.denoising.truncated",
    "CollidingScorer": "tfadt.inference.colliding",
    "Config": "tfadt.config",
    "DropRateSchedule": "tfadt.losses",
    "IngestConfig": "tfadt.config_ingest",
    "InteractionData": "tfadt.data.interactions",
    "Interactions": "tfadt.data.interactions",
    "NeuMF": "tfadt.models.neumf",
    "ReweightedBinaryCrossentropy": "tfadt.losses",
    "Standard": "tfadt.denoising.standard",
    "TruncatedBinaryCrossentropy": "tfadt.losses",
    "Vocabulary": "tfadt.data.interactions",
    "from_frame": "tfadt.data.ingest",
    "ingest": "tfadt.data.ingest",
    "load_config": "tfadt.config_loading",
    "load_model": "tfadt.training.model_files",
}

__all__ = [
    "CDAE",
    "GMF",
    "NMTR",
    "NR",
    "RCE",
    "TCE",
    "CollidingScorer",
    "Config",
    "DropRateSchedule",
    "IngestConfig",
    "InteractionData",
    "Interactions",
    "NeuMF",
    "ReweightedBinaryCrossentropy",
    "Standard",
    "TruncatedBinaryCrossentropy",
    "Vocabulary",
    "__version__",
    "from_frame",
    "ingest",
    "load_config",
    "load_model",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'tfadt' has no attribute '{name}'")
    value = getattr(importlib.import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
