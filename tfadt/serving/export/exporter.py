"""Exports a trained model as a version that TensorFlow Serving loads.

A version is a folder `saved_models/NAME/NUMBER` with `saved_model.pb`, `variables/`, and in `assets.extra/` the warm-up
records and `tfadt.json`, which says what was exported from where, with the SHA-256 of every file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfadt._version import __version__
from tfadt.config import ExportConfig
from tfadt.data.interactions import CSR, InteractionData
from tfadt.errors import ConfigError, DataError, first_line
from tfadt.evaluation.protocol import seen_at_test
from tfadt.experiments.collide import has_collided, saved_scorer
from tfadt.experiments.saved import SavedRun
from tfadt.inference.colliding import CollidingScorer
from tfadt.models.histories import HistoryScorer
from tfadt.models.recommender import Recommender
from tfadt.serving.contract import DEFAULT, PREDICT_METHOD, SIGNATURES
from tfadt.serving.export.graph_check import check_graph, read_saved_model
from tfadt.serving.export.ids import why_no_integers
from tfadt.serving.export.noise import noise_scale
from tfadt.serving.export.reproducible import make_reproducible
from tfadt.serving.export.signatures import ServedModel
from tfadt.serving.metadata import write_metadata
from tfadt.serving.requests import Exchange, answer, difference, sample_requests, write_warmup
from tfadt.serving.served import load_served
from tfadt.serving.versions import check_model_name, publishing


def export_run(
    run: SavedRun,
    out: Path,
    model: str | None = None,
    config: ExportConfig | None = None,
    version: int | None = None,
    say: Callable[[str], object] = lambda text: None,
) -> Path:
    """Exports a model of a finished run.

    Args:
        run: The run.
        out: Folder of all exported models; the version goes to `out/NAME/NUMBER`, where NAME is `export.name` or the model's
            registered name, so that a new policy or seed is a new version of it.
        model: Which, such as `gmf-t_ce-0`; default the best of the run.
        config: The settings; default the run's section `export`.
        version: NUMBER; default the next.
        say: Hears what a user should know.

    Returns:
        The version's folder.

    Raises:
        ConfigError: If a setting cannot be used.
        DataError: If the run cannot be read, the model cannot be exported or the folder cannot be written.
    """
    settings = config or run.config.export
    chosen = model or run.best()
    trained = run.load_model(chosen)
    seen = seen_at_test(run.data, run.config) if settings.exclude_seen else None
    record = run.run(chosen)
    details = {
        "run": str(run.folder.resolve()),
        "trained_model": chosen,
        "data_fingerprint": run.data.manifest.get("fingerprint"),
        "test_metrics": record.metrics,
    }
    served_name = settings.name or record.model
    folder = Path(out) / served_name
    check_model_name(served_name)
    colliding = saved_scorer(run, chosen, trained) if has_collided(run, chosen) else None
    if colliding is None:
        say(f"No signature recommend_colliding: {chosen} was not trained with warm-up and collide.enabled.")
    return export_model(trained, run.data, folder, settings, seen, colliding, version, details)


def export_model(
    model: Recommender,
    data: InteractionData,
    folder: Path,
    config: ExportConfig | None = None,
    seen: CSR | None = None,
    colliding: CollidingScorer | None = None,
    version: int | None = None,
    details: Mapping[str, Any] | None = None,
) -> Path:
    """Exports a model as the next version in a folder.

    Everything is checked before the version appears: the graph holds nothing that a server lacks, and the export, loaded
    again, answers every warm-up record as the model does. Two exports of one model are equal byte for byte.

    Args:
        model: The trained model; any `Recommender`.
        data: The data set that it was trained on.
        folder: The model's folder, such as `saved_models/gmf`.
        config: The settings.
        seen: Items that are left out of each user's ranking; None for none.
        colliding: What `recommend_colliding` ranks with; None for no such signature.
        version: Its number; default the next.
        details: What else `tfadt.json` is to say.

    Returns:
        The version's folder.

    Raises:
        ConfigError: If a signature is unknown or cannot be had, or tensorflow-serving-api is missing.
        DataError: If the model cannot be exported or the folder cannot be written.
    """
    settings = config or ExportConfig()
    check_model_name(Path(folder).name)
    model.check_data(data)
    check_finite(model)
    names = _choose(settings.signatures, model, data, colliding)
    train = data.train
    logits = model.score_rows(train.user, train.item)
    noise = noise_scale(logits, train.false_positive)
    served = ServedModel(model, data, settings.k, seen, noise, colliding)
    functions = served.trace(names)
    signatures = {**functions, **({DEFAULT: functions["recommend"]} if "recommend" in functions else {})}
    exchanges = [
        Exchange(signature, request, answer(functions[signature], request))
        for signature, request in sample_requests(names, data)
    ]
    with publishing(Path(folder), version) as (partial, target):
        try:
            # A server takes no gradients, and TensorFlow would name those of a model's own by a count of the process.
            options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
            tf.saved_model.save(served, str(partial), signatures=signatures, options=options)
            name_methods(partial, names)
            make_reproducible(partial)
            write_warmup(partial, Path(folder).name, exchanges)
        except (tf.errors.OpError, OSError) as error:
            raise DataError(f"{folder} cannot be written: {first_line(error)}") from error
        check_graph(read_saved_model(partial))
        replay(partial, exchanges)
        write_metadata(
            partial,
            {
                "tfadt": __version__,
                "tensorflow": tf.__version__,
                "name": Path(folder).name,
                "version": int(target.name),
                "users": data.num_users,
                "items": data.num_items,
                "k": settings.k,
                "exclude_seen": seen is not None,
                "signatures": list(signatures),
                "neighbors": None if colliding is None else colliding.neighbors.shape[1],
                "colliding": None if colliding is None else {"lambda": colliding.lambda_, "mix": colliding.mix},
                "denoise": {"calibrated": noise.probabilities is not None, "known_feedback": noise.known},
                **(details or {}),
            },
        )
    return target


def name_methods(folder: Path, names: Sequence[str]) -> None:
    """Writes into an export which of the server's methods asks a signature; TensorFlow writes Predict into all."""
    others = [name for name in names if SIGNATURES[name].method != PREDICT_METHOD]
    if others:
        updater = tf.compat.v1.saved_model.signature_def_utils.MethodNameUpdater(str(folder))
        for name in others:
            updater.replace_method_name(name, SIGNATURES[name].method)
        updater.save()


def check_finite(model: Recommender) -> None:
    """Raises DataError if a weight is not a finite number, as after a training that diverged."""
    for weight in model.weights:
        if weight.dtype.startswith("float") and not np.isfinite(weight.numpy()).all():
            raise DataError(
                f"The weight {weight.path} {tuple(weight.shape)} has values that are not finite numbers (has training "
                "diverged?), so nothing is exported."
            )


def replay(folder: Path, exchanges: Sequence[Exchange]) -> None:
    """Checks that an export answers each request as expected.

    Raises:
        DataError: If it cannot be loaded, or answers otherwise.
    """
    served = load_served(folder)
    for number, exchange in enumerate(exchanges):
        differs = difference(answer(served.signatures[exchange.signature], exchange.request), exchange.answer)
        if differs is not None:
            raise DataError(f"{folder} answers record {number} ({exchange.signature}) otherwise than the model: {differs}.")


def _choose(
    wanted: Sequence[str], model: Recommender, data: InteractionData, colliding: CollidingScorer | None
) -> list[str]:
    """Returns the signatures to export: those that are wanted, or all that can be had and that the method Predict asks."""
    missing = {}
    if not isinstance(model, HistoryScorer):
        missing["recommend_from_history"] = f"{type(model).__name__} cannot rank for users whom training did not know"
    if colliding is None:
        missing["recommend_colliding"] = "the model was not trained with warm-up and collide.enabled"
    text = why_no_integers(data.users.ids, "user_id") or why_no_integers(data.items.ids, "item_id", padded=True)
    if text is not None:
        missing["recommend_integer"] = text
    for name in wanted:
        if name in missing:
            raise ConfigError(f"The signature {name} cannot be exported: {missing[name]}.")
    default = [name for name, signature in SIGNATURES.items() if signature.method == PREDICT_METHOD]
    return [name for name in dict.fromkeys(wanted or default) if name not in missing]
