"""The share of regretted hits, a ratio of two sums over users: its value, its interval, and what a user adds to it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

_DRAWS = 1000


def judged_hits(per_user: pd.DataFrame, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns each user's disliked hits and all its judged hits, disliked or liked, over k: float64 `[U]` each.

    Args:
        per_user: `Evaluation.per_user`, with `anti_precision@k` and `precision@k`; NaN in the latter for a user of whom no
            liked item is known, and so no liked hit.
        k: Cut-off.
    """
    disliked = per_user[f"anti_precision@{k}"].to_numpy(np.float64)
    return disliked, disliked + np.nan_to_num(per_user[f"precision@{k}"].to_numpy(np.float64))


def false_share(per_user: pd.DataFrame, k: int) -> float:
    """Returns `sum b / sum (g + b)`: of all hits that are known to be liked (g) or disliked (b), the share disliked.

    0 where there is no judged hit (Mena-Maldonado et al., SIGIR'20, for what such metrics are good for).
    """
    return _ratio(*(hits.sum() for hits in judged_hits(per_user, k)))


def false_share_values(per_user: pd.DataFrame, k: int) -> np.ndarray:
    """Returns float64 `[U]` whose mean is the false share, and whose differences can be tested as any metric's.

    They are the ratio plus its linearisation in each user's hits (the delta method): `r + (b - r (g + b)) / mean(g + b)`.
    """
    disliked, judged = judged_hits(per_user, k)
    ratio = _ratio(disliked.sum(), judged.sum())
    return ratio + (disliked - ratio * judged) / (judged.mean() or 1.0)


def false_share_interval(frames: Sequence[pd.DataFrame], k: int) -> tuple[float, float]:
    """Returns the 95 % interval of the false share by a bootstrap over users, each user's hits summed over the seeds.

    Users with the same hits are drawn together, which is the same bootstrap at the cost of the distinct ones.

    Args:
        frames: `Evaluation.per_user` of each seed.
        k: Cut-off.
    """
    hits = [pd.DataFrame(dict(zip("bj", judged_hits(frame, k), strict=True)), index=frame["user"]) for frame in frames]
    total = sum(hits[1:], hits[0]).round(9)  # sums of equal hits are to be equal
    distinct, counts = np.unique(total.to_numpy(), axis=0, return_counts=True)
    drawn = np.random.default_rng(0).multinomial(counts.sum(), counts / counts.sum(), size=_DRAWS) @ distinct
    shares = [_ratio(disliked, judged) for disliked, judged in drawn]
    low, high = np.quantile(shares, [0.025, 0.975])
    return float(low), float(high)


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else 0.0
