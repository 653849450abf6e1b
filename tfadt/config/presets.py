"""Recipes by name: settings that a configuration has unless it says otherwise."""

from __future__ import annotations

from typing import Any

PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    "paper": {"adt": {}, "method": {}, "model": {}, "policy": {}},
    "strong": {
        "adt": {
            "learning_rate": 0.003,
            "batch_size": 17 * 1024,  # 1,024 clicks with their negatives
            "num_negatives": 16,
            "l2": 0.01,
            "epochs": 30,
            "validations": 2,
            "patience": 10,
        },
        "method": {
            # From one validation to the next the weights jump about: their average ranks better, and hangs less on luck.
            "gmf": {"adt.objective": "auto", "adt.l2": "auto", "adt.ema_momentum": 0.3},
            # NeuMF scores each pair by itself, in training as in validation: more negatives, or a smaller learning
            # rate for more epochs, take longer and rank no better; one validation an epoch is enough.
            "neumf": {
                "adt.learning_rate": 0.006,
                "adt.num_negatives": 4,
                "adt.batch_size": 5 * 1024,
                "adt.l2": 0.02,
                "adt.epochs": 10,
                "adt.validations": 1,
                "adt.patience": 4,
                "adt.ema_momentum": 0.5,
            },
            # Its steps are cheap and its first epochs uneven: with less patience two seeds in five stopped on the way up.
            "cdae": {"adt.objective": "softmax", "adt.epochs": 60, "adt.validations": 1, "adt.patience": 15},
        },
        "model": {
            "gmf": {"embedding_dim": 64, "item_bias": True, "init_kernel": "ones", "init_bias": "popularity"},
            "neumf": {"item_bias": True, "init_bias": "popularity"},
            "cdae": {"activation": "tanh", "corruption": 0.5, "normalise": True, "user_vectors": False},
        },
        # A tenth of a batch of seventeen rows a positive would be all of its positives.
        "policy": {"t_ce": {"scope": "positives"}, "dcf": {"scope": "positives"}},
    },
}
"""Preset -> settings: of `adt` for all models and for single ones, of models and of policies. `paper` is what the authors
train with, which is what the fields have for defaults."""
