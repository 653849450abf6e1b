"""What extra feedback is good for: the paper's Table 4 (ways to train), Table 5 and Figure 11 (colliding inference)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tfadt.config.training import ADT_ALONE
from tfadt.evaluation.significance import PairedTest, mean_and_std, mean_over_seeds, paired_test
from tfadt.experiments.collide import Collided, Group
from tfadt.experiments.comparison import methods, paired, verdict
from tfadt.experiments.run import Run
from tfadt.registry import MODELS, PLAIN, POLICIES, policy_label

Table = tuple[list[str], list[list[str]]]


def uses_extra_feedback(runs: Sequence[Run]) -> bool:
    """Returns whether some training used extra feedback."""
    return any(run.plan != ADT_ALONE or _needs(run.model, run.policy) for run in runs if run.policy is not None)


def training_table(runs: Sequence[Run], ks: Sequence[int]) -> Table:
    """Returns header and cells of Table 4: each way to train, against plain training and against its policy in ADT alone.

    Differences are of recall at the first cut-off, paired over users (each averaged over the seeds) and over seeds.
    A model that is itself a way to use extra feedback (NMTR) is compared with the first model that is none.
    """
    trained = {method: own for method, own in methods(runs).items() if method[1] is not None}
    metrics = [f"{name}@{k}" for k in ks for name in ("recall", "ndcg")]
    header = ["model", "policy", "plan", *metrics, f"{metrics[0]} - plain", f"{metrics[0]} - ADT alone"]
    plain = {m: own for (m, policy, plan), own in trained.items() if (policy, plan) == (PLAIN, ADT_ALONE)}
    proper = [own for model, own in plain.items() if not _needs(model, PLAIN)]
    cells = []
    for (model, policy, plan), own in trained.items():
        baseline = plain.get(model, []) if not _needs(model, PLAIN) else next(iter(proper), [])
        alone = trained.get((model, policy, ADT_ALONE), [])
        cells.append(
            [
                model,
                policy_label(policy),
                plan,
                *(_spread([run.evaluation.metrics[metric] for run in own]) for metric in metrics),
                _difference(own, baseline, metrics[0]),
                _difference(own, alone, metrics[0]),
            ]
        )
    return header, cells


def colliding_table(collided: Sequence[Collided], ks: Sequence[int]) -> Table:
    """Returns header and cells of Table 5: the plain ranking and colliding inference, for the users of each group.

    Metrics are means over the group's test users; the difference is of recall at the first cut-off. Groups come without
    the users that have no extra feedback, then with them.
    """
    metrics = [f"{name}@{k}" for k in ks for name in ("recall", "ndcg")]
    header = ["training", "users", "test users", "inference", *metrics, f"{metrics[0]} - plain", "lambda", "|N|"]
    cells = []
    for (training, group), own in _by_group(collided).items():
        for mixed in (False, True):
            values = [[each.mean(metric, mixed) for each in own] for metric in metrics]
            shown = [_spread([v for v in value if v is not None]) if None not in value else "no users" for value in values]
            choices = [each.choice for each in own] if mixed else []
            cells.append(
                [
                    training,
                    group_name(group),
                    f"{len(own[0].plain):,}",
                    "colliding" if mixed else "plain",
                    *shown,
                    _mixed_difference(own, metrics[0]) if mixed else "",
                    " ".join(f"{choice.lambda_:g}" for choice in choices),
                    " ".join(str(choice.num_neighbors) for choice in choices),
                ]
            )
    return header, cells


def group_name(group: Group) -> str:
    """Returns what the report calls a group of users."""
    return f"ratio < {group.below:g}" + (", with those at 0" if group.include_empty else "")


def draw_curves(collided: Sequence[Collided], k: int, path: Path) -> None:
    """Draws recall on validation against lambda for each group of users (Figure 11): at the chosen |N|, as a share of plain.

    Args:
        collided: What the stage found.
        k: The cut-off that was chosen by.
        path: The picture, such as a .png file.
    """
    from matplotlib.figure import Figure  # no window, no global state

    grouped = _by_group(collided)
    trainings = list(dict.fromkeys(training for training, _ in grouped))
    figure = Figure(figsize=(5.5 * len(trainings), 4.2), layout="constrained")
    axes = figure.subplots(1, len(trainings), squeeze=False, sharey=True)[0]
    for axis, training in zip(axes, trainings, strict=True):
        for (name, group), own in grouped.items():
            curves = [_curve(each) for each in own]
            if name == training and all(curve is not None for curve in curves):
                mean = np.mean(np.array([curve for curve in curves if curve is not None]), axis=0)
                style = "--" if group.include_empty else "-"
                axis.plot(own[0].lambdas, mean, marker=".", linestyle=style, label=group_name(group))
        axis.axhline(1.0, color="grey", linewidth=0.8)
        axis.set(title=training, xlabel="lambda (1: the plain ranking)")
        axis.legend(fontsize="small")
    axes[0].set_ylabel(f"recall@{k} on validation / that of plain")
    figure.savefig(path, dpi=120)


def _curve(each: Collided) -> np.ndarray | None:
    """Returns recall over lambda at the chosen |N|, the plain ranking being 1; None where there is nothing to measure."""
    if not each.choice.plain:
        return None
    return np.array(each.choice.curve[each.sizes.index(each.choice.num_neighbors)]) / each.choice.plain


def _by_group(collided: Sequence[Collided]) -> dict[tuple[str, Group], list[Collided]]:
    found: dict[tuple[str, Group], list[Collided]] = {}
    for each in collided:
        found.setdefault((f"{each.model} {policy_label(each.policy)} {each.plan}", each.group), []).append(each)
    return found


def _needs(model: str, policy: str | None) -> bool:
    """Returns whether a model or a policy is itself a way to train on extra feedback.

    A policy that makes weights of it before training, as the noise model, is a row of the table of policies like any other.
    """
    classes = MODELS.resolve(model), POLICIES.resolve(str(policy))
    return any(each.needs_extra_feedback and not getattr(each, "knows_weights", False) for each in classes)


def _spread(values: Sequence[float]) -> str:
    mean, std = mean_and_std(values)
    return f"{mean:.4f}" + (f" ± {std:.4f}" if len(values) > 1 else "")


def _difference(own: Sequence[Run], baseline: Sequence[Run], metric: str) -> str:
    # In the midst of a run a method can be a seed ahead of its baseline: there is nothing to pair yet.
    if own is baseline or len(own) != len(baseline):
        return ""
    return _test_text(*paired(own, baseline, metric))


def _mixed_difference(own: Sequence[Collided], metric: str) -> str:
    if not len(own[0].plain):
        return ""
    both = [each.mixed for each in own], [each.plain for each in own]
    by_user = [mean_over_seeds(frames, metric) for frames in both]
    by_seed = [np.array([frame[metric].mean() for frame in frames]) for frames in both]
    return _test_text(paired_test(*by_user), paired_test(*by_seed))


def _test_text(users: PairedTest, seeds: PairedTest) -> str:
    by_seed = f"; seeds {seeds.p_value:.2g}" if seeds.users > 1 else ""
    return f"{users.difference:+.4f} (p {users.p_value:.2g}{by_seed}): {verdict(users, seeds)}"
